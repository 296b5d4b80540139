"""What hosts and groups may be called: their names end up in files, paths and command lines."""

import re

HOST = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}\Z")
GROUP = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.+@=/-]{0,252}\Z")

HOST_MARK = "ORCHESTRATOR_HOST"
"""The environment variable that all processes of a host carry which shares its machine with others."""
