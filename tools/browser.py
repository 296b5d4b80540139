"""Make ready what the tests in a browser need: a Chromium, and the third-party files of `tests/browser/assets.lock`.

Usage: python tools/browser.py

The browser is `ORCHESTRATOR_BROWSER`, or the first of `chromium-headless-shell`, `chromium`, `chromium-browser` and
`google-chrome` on `PATH`. Debian's `chromium-headless-shell` is Chromium without a window: the tests need a third less
processor time with it. Where it is missing it is installed if this process may do that. Without any of them the
command is printed, and the exit status is 1.
"""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK, FOLDER = ROOT / "tests" / "browser" / "assets.lock", ROOT / "build" / "browser" / "assets"
PACKAGE = "chromium-headless-shell"
NAMES = (PACKAGE, "chromium", "chromium-browser", "google-chrome")
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", PACKAGE, "fonts-dejavu-core")


def found_browser() -> str | None:
    """The path of the browser, or None if there is none."""
    named = os.environ.get("ORCHESTRATOR_BROWSER")
    if named:
        return shutil.which(named)
    return next((path for path in map(shutil.which, NAMES) if path), None)


def may_install() -> bool:
    """Whether this process can install a package of Debian, and no other browser was named."""
    return os.geteuid() == 0 and bool(shutil.which(INSTALL[0])) and not os.environ.get("ORCHESTRATOR_BROWSER")


def install_browser() -> None:
    """Install Debian's package. Raises `SystemExit` with the command if there is no browser afterwards."""
    problem = ""
    if may_install():
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (("apt-get", "update", "-q"), INSTALL):
            done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        problem = done.stderr[-2000:] if done.returncode != 0 else ""
    if found_browser() is None:
        how = f"sudo {' '.join(INSTALL)}, or set ORCHESTRATOR_BROWSER to its path"
        raise SystemExit(f"no Chromium was found. Install one: {how}\n{problem}".rstrip())


def main() -> int:
    """Make everything ready. Returns the exit status."""
    if found_browser() is None or (may_install() and not shutil.which(PACKAGE)):
        install_browser()
    FOLDER.mkdir(parents=True, exist_ok=True)
    runpy.run_path(str(ROOT / "tools" / "assets.py"))["fetch_assets"](FOLDER, None, LOCK)
    print(f"browser: {found_browser()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
