"""Processes without a terminal that resume a run."""

import subprocess
import sys

from orchestrator.wiring import App


def background(app: App, root: str) -> int:
    """Go on with *root* in a process that has no terminal, as soon as nobody else does. Returns its number."""
    folder = app.state / "background"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    words = [sys.executable, "-P", "-m", "orchestrator", "-C", str(app.root), "resume", root, "--background"]
    with (folder / f"{root}.log").open("ab") as log:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=app.environ, start_new_session=True
        ).pid
