"""The routes that show environments, and by which users have them checked. Part of `route_table`."""

ENVIRONMENT_ROUTES: dict[str, tuple[str, ...]] = {
    "GET /environments": ("queries.facts_of_all",),
    "GET /environments/{environment}": (
        "queries.facts",
        "queries.run_page",
        "bookings.find_slots",
        "bookings.list_bookings",
        "environment_reports.environment_reports",
    ),
    "POST /environments/{environment}/observe": ("submissions.submit(Observe)",),
    "GET /environments/{environment}/requirements": ("requirement_reports.requirement_reports", "releases.kept_refs"),
    "POST /environments/{environment}/requirements": ("releases.kept_package", "inspections.requirements"),
    "POST /environments/{environment}/drift": ("inspections.drift",),
    "POST /environments/{environment}/parity": ("inspections.parity",),
    "GET /environments/{environment}/rollback": ("queries.facts", "releases.rollback_package"),
    "GET /api/v1/environments": ("queries.facts_of_all",),
    "GET /api/v1/environments/{environment}": ("queries.facts",),
    "GET /api/v1/environments/{environment}/requirements": ("requirement_reports.requirement_reports",),
    "GET /api/v1/environments/{environment}/reports": ("environment_reports.environment_reports",),
}
"""The pages of environments, and the routes of the API that read them."""
