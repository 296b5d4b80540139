"""Put bubblewrap into the user's cache for the tests of isolated hosts, where this machine does not have it.

Standard library only. The distribution's package is unpacked and not installed: whether loopback hosts are isolated
stays the machine's own choice. Nothing fails here: what cannot be obtained is printed, and its tests are skipped.
Usage: python3 tools/bubblewrap.py
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "bubblewrap"
PATIENCE_S = 60
QUICK = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "APT::Sandbox::User=")


def main() -> int:
    """Obtain bubblewrap once, and print why it is missing otherwise."""
    if shutil.which("bwrap") is None and not cached().is_file():
        reason = obtain()
        if reason:
            print(f"· bubblewrap: {reason}; the tests of isolated hosts are skipped", flush=True)
    return 0


def cached() -> Path:
    """The program in the cache: `~/.cache/orchestrator/bubblewrap/usr/bin/bwrap`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path(os.environ.get("HOME", "/")) / ".cache")
    return Path(base) / "orchestrator" / PACKAGE / "usr/bin/bwrap"


def obtain() -> str | None:
    """Unpack the distribution's package into the cache, all or nothing. Returns the reason if it cannot."""
    if not sys.platform.startswith("linux") or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return "not installed, and only Debian's package can be unpacked"
    target = cached().parents[2]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            return _unpack(Path(folder), target)
        except (OSError, subprocess.SubprocessError) as error:
            return f"not installed, and its package cannot be unpacked: {error}"


def _unpack(folder: Path, target: Path) -> str | None:
    done = _apt(folder, "download", PACKAGE)
    if done.returncode != 0:  # a new machine has no package lists, and only root may update them
        lists = ("-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}")
        for path in ("lists/partial", "cache/archives/partial"):
            (folder / path).mkdir(parents=True)
        _apt(folder, *lists, "update")
        done = _apt(folder, *lists, "download", PACKAGE)
    archive = next(folder.glob(f"{PACKAGE}_*.deb"), None)
    if archive is None:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"not installed, and apt-get download reports: {last}"
    root = folder / "root"
    subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True, capture_output=True, timeout=PATIENCE_S)
    if not target.exists():
        root.rename(target)
    return None


def _apt(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = ["apt-get", *QUICK, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


if __name__ == "__main__":
    sys.exit(main())
