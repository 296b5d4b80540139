"""One module a command, with the attribute `command`. Modules import only click and `output` at their top."""
