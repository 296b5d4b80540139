"""The routes of what a project is given from outside: hooks, and project definitions. Part of `route_table`."""

READING = ("HEAD", "GET")
HOOK_CHANGES: dict[str, tuple[str, ...]] = {
    "POST /hooks": ("hooks.add_hook",),
    "POST /hooks/{hook}/edit": ("hooks.edit_hook",),
    "POST /hooks/{hook}/remove": ("hooks.remove_hook",),
}
HOOK_ROUTES: dict[str, tuple[str, ...]] = {
    "GET /hooks": ("hooks.list_hooks", "hooks.list_deliveries", "people.show_access"),
    "GET /hooks/{hook}": ("hooks.show_hook", "hooks.test_hook", "hooks.list_deliveries", "people.show_access"),
    **HOOK_CHANGES,
    **{route.replace(" /", " /api/v1/"): cases for route, cases in HOOK_CHANGES.items()},
    "GET /api/v1/hooks": ("hooks.list_hooks",),
    "GET /api/v1/hooks/{hook}": ("hooks.show_hook",),
    "GET /api/v1/hooks/{hook}/check": ("hooks.test_hook",),
    "GET /api/v1/hook-deliveries": ("hooks.list_deliveries",),
    "POST /api/v1/hooks/{hook}/edit": ("hooks.show_hook", "hooks.edit_hook"),
}
"""The pages and routes by which users manage hooks."""
DEFINITION_ROUTES: dict[str, tuple[str, ...]] = {
    "GET /definitions": ("definitions.kept", "definitions.current"),
    "GET /definitions/{digest}": ("definitions.show", "queries.run_page", "definitions.current"),
    "POST /definitions/{digest}/use": ("definitions.make_current",),
    "GET /api/v1/definitions": ("definitions.kept",),
    "GET /api/v1/definitions/{digest}": ("definitions.show",),
    "POST /api/v1/definitions/{digest}/use": ("definitions.current", "definitions.show", "definitions.make_current"),
    **{f"{method} /api/v1/definition-uploads/{{digest}}": ("definitions.definition_offset",) for method in READING},
    "PUT /api/v1/definition-uploads/{digest}": ("definitions.definition_part",),
}
"""The pages and routes of project definitions."""
