"""Make ready what the tests in a browser need: a Chromium, and the third-party files of `tests/browser/assets.lock`.

Usage: python tools/browser.py

The browser is `ORCHESTRATOR_BROWSER`, or the first of `chromium`, `chromium-browser` and `google-chrome` on `PATH`.
Where there is none, Debian's package `chromium` is installed if this process may do that. Otherwise the command is
printed, and the exit status is 1.
"""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK, FOLDER = ROOT / "tests" / "browser" / "assets.lock", ROOT / "build" / "browser" / "assets"
NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core")


def found_browser() -> str | None:
    """The path of the browser, or None if there is none."""
    named = os.environ.get("ORCHESTRATOR_BROWSER")
    if named:
        return shutil.which(named)
    return next((path for path in map(shutil.which, NAMES) if path), None)


def install_browser() -> None:
    """Install Debian's package. Raises `SystemExit` with the command if that is not possible."""
    how = f"no Chromium was found. Install one: sudo {' '.join(INSTALL)}, or set ORCHESTRATOR_BROWSER to its path"
    if os.geteuid() != 0 or not shutil.which(INSTALL[0]) or os.environ.get("ORCHESTRATOR_BROWSER"):
        raise SystemExit(how)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("apt-get", "update", "-q"), INSTALL):
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0 or found_browser() is None:
        raise SystemExit(f"{how}\n{done.stderr[-2000:]}")


def main() -> int:
    """Make everything ready. Returns the exit status."""
    if found_browser() is None:
        install_browser()
    FOLDER.mkdir(parents=True, exist_ok=True)
    runpy.run_path(str(ROOT / "tools" / "assets.py"))["fetch_assets"](FOLDER, None, LOCK)
    print(f"browser: {found_browser()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
