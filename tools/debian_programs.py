"""Put programs of Debian into the user's cache for tests, where this machine does not have them.

Standard library only. The distribution's packages are unpacked and not installed: nothing is started, and nothing
outside the cache changes. What cannot be obtained is printed with its reason and the command that installs it.
Usage: python3 tools/debian_programs.py [NAME …], by default haproxy, promtool and systemd-analyze
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 60
QUICK = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "APT::Sandbox::User=")


@dataclass(frozen=True)
class Program:
    """A program of a *package* of Debian: its *path* there, and the further packages that it *needs*."""

    package: str
    path: str
    needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its packages are unpacked: `~/.cache/orchestrator/PACKAGE`."""
        base = os.environ.get("XDG_CACHE_HOME") or str(Path(os.environ.get("HOME", "/")) / ".cache")
        return Path(base) / "orchestrator" / self.package

    @property
    def cached(self) -> Path:
        """The program in the cache."""
        return self.folder / self.path


LUA = ("liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")
PROGRAMS = {
    "bwrap": Program("bubblewrap", "usr/bin/bwrap"),
    "haproxy": Program("haproxy", "usr/sbin/haproxy", LUA),
    "prometheus": Program("prometheus", "usr/bin/prometheus"),
    "promtool": Program("prometheus", "usr/bin/promtool"),
    "systemd-analyze": Program("systemd", "usr/bin/systemd-analyze", ("libsystemd-shared",)),
    "mmdebstrap": Program("mmdebstrap", "usr/bin/mmdebstrap"),
}
FOR_TESTS = ("haproxy", "promtool", "systemd-analyze")


def found(name: str) -> tuple[Path, dict[str, str]] | None:
    """The program *name*, and the variables with which it finds its libraries; None if there is none."""
    installed, cached = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin"), PROGRAMS[name].cached
    if installed:
        return Path(installed), {}
    if not cached.is_file():
        return None
    libraries = {str(path.parent) for path in PROGRAMS[name].folder.rglob("*.so*")}
    return cached, {"LD_LIBRARY_PATH": ":".join(sorted(libraries))}


def obtain(name: str) -> str | None:
    """Unpack the packages of *name* into the cache, all or nothing. Returns the reason if it cannot."""
    if not sys.platform.startswith("linux") or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return "not installed, and only Debian's package can be unpacked"
    target = PROGRAMS[name].folder
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            return _unpack(Path(folder), PROGRAMS[name], target)
        except (OSError, subprocess.SubprocessError) as error:
            return f"not installed, and its package cannot be unpacked: {error}"


def _unpack(folder: Path, program: Program, target: Path) -> str | None:
    packages = (program.package, *program.needs)
    done = _apt(folder, "download", *packages)
    if done.returncode != 0:  # a new machine has no package lists, and only root may update them
        lists = ("-o", f"Dir::State::lists={folder / 'lists'}", "-o", f"Dir::Cache={folder / 'cache'}")
        for path in ("lists/partial", "cache/archives/partial"):
            (folder / path).mkdir(parents=True)
        _apt(folder, *lists, "update")
        done = _apt(folder, *lists, "download", *packages)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"not installed, and apt-get download reports: {last}"
    root = folder / "root"
    for archive in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True, capture_output=True, timeout=PATIENCE_S)
    if not target.exists():
        root.rename(target)
    return None


def _apt(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = ["apt-get", *QUICK, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def main(names: list[str]) -> int:
    """Obtain each of *names* once, and print why one is missing otherwise."""
    for name in names or FOR_TESTS:
        reason = None if found(name) else obtain(name)
        if reason:
            print(f"· {name}: {reason}. Install it: sudo apt-get install {PROGRAMS[name].package}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
