"""The page of the calendar and its forms, each with the use cases that it calls: a part of the route table."""

CALENDAR_PAGES: dict[str, tuple[str, ...]] = {
    "GET /calendar": (
        "calendar.show_calendar",
        "calendar.states",
        "calendar.recorded_overrides",
        "bookings.list_bookings",
        "queries.recent_runs",
    ),
    "POST /calendar/entries": ("calendar.add_rule",),
    "POST /calendar/entries/{entry}/remove": ("calendar.remove_rule",),
    "POST /calendar/stop": ("calendar.stop_line",),
    "POST /calendar/resume": ("calendar.resume_line",),
    "POST /calendar/import": ("calendar.preview_import", "calendar.import_rules"),
    "GET /promote/override": ("releases.kept_package", "admission.show_closings", "calendar.recorded_overrides"),
    "POST /promote/override": ("releases.kept_package", "admission.override_calendar"),
}
