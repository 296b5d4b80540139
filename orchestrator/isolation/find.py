"""The isolator of this machine, by the project's setting `isolation`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.view import View
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.isolation.run import run_in_view

SETTING = "ORCHESTRATOR_JOB_ISOLATION"
"""The variable that comes before the project's setting: `required`, `auto` or `off`."""

UNSET = "auto"
"""The setting where neither the variable nor the project has one."""

SETTINGS = ("required", "auto", "off")
PATIENCE = 20.0  # seconds for a command that does nothing


def find_isolator(setting: str, environ: Mapping[str, str]) -> Isolator:
    """The isolator for processes of a project with this *setting*. Raises I101 and I102."""
    wanted = environ.get(SETTING) or setting
    if wanted not in SETTINGS:
        raise OrchestratorError("I102", f"{SETTING} is {wanted!r} and must be one of {', '.join(SETTINGS)}")
    if wanted == "off":
        return NONE
    found = available(environ.get("PATH", os.defpath))
    if wanted == "required" and not found.isolates:
        raise OrchestratorError("I101", f"processes cannot be isolated: {found.reason}")
    return found._replace(required=wanted == "required")


@cache
def available(path: str) -> Isolator:
    """The best isolator that works here; *path* is where bubblewrap is looked up."""
    if not sys.platform.startswith("linux"):
        return Isolator("none", reason="isolation needs Linux")
    reasons = []
    program = shutil.which("bwrap", path=path)
    candidates = [Isolator("bubblewrap", program)] if program else []
    for candidate in (*candidates, Isolator("namespaces")):
        reason = problem_of(candidate)
        if not reason:
            return candidate
        reasons.append(f"{candidate.kind}: {reason}")
    reasons += [] if program else ["bubblewrap: not installed"]
    return Isolator("none", reason="; ".join(reasons))


def problem_of(isolator: Isolator) -> str:
    """The reason why *isolator* does not work on this machine; empty if it does."""
    try:
        done = run_in_view(isolator, View(), ["/bin/true"], cwd="/", env={"PATH": os.defpath}, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
    return last[0] if done.returncode else ""
