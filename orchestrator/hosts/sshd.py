"""OpenSSH's server: found, or got without touching the system more than needed."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.processes import progress_heartbeat

SYSTEM = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/local/bin", "/opt/homebrew/sbin")
INSTALLERS = (
    ("apt-get", ("apt-get", "install", "-y", "--no-install-recommends", "openssh-server", "openssh-client")),
    ("dnf", ("dnf", "install", "-y", "openssh-server", "openssh-clients")),
    ("apk", ("apk", "add", "openssh-server", "openssh-client")),
)
UNPACKED = (
    "openssh-server",
    "openssh-client",
    "openssh-sftp-server",
    "libwrap0",
    "libselinux1",
    "libaudit1",
    "libedit2",
    "libbsd0",
    "libmd0",
    "libgssapi-krb5-2",
    "libkrb5-3",
    "libk5crypto3",
    "libkrb5support0",
    "libkeyutils1",
)
CLIENTS = ("ssh", "scp", "sftp")

Echo = Callable[[str], None]


@dataclass(frozen=True)
class Sshd:
    """A server program, the tools beside it, and what must be in its environment and configuration."""

    path: Path
    keygen: Path
    env: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


def find_server(environ: Mapping[str, str]) -> Sshd:
    """The server to use: the one that `ORCHESTRATOR_SSHD` names, the system's, or ours. Raises E201."""
    ours = _unpacked(server_cache(environ))
    if environ.get("ORCHESTRATOR_SSHD") == "cache":
        chosen = None
    else:
        named = environ.get("ORCHESTRATOR_SSHD")
        chosen = named or shutil.which("sshd", path=os.pathsep.join([environ.get("PATH", ""), *SYSTEM]))
    keygen = shutil.which("ssh-keygen", path=environ.get("PATH"))
    if chosen and keygen:
        return Sshd(Path(chosen), Path(keygen))
    if ours is not None:
        return ours
    raise OrchestratorError(
        "E201", "no sshd was found, nor ssh-keygen beside it" if not keygen else "no sshd was found"
    )


def server_cache(environ: Mapping[str, str]) -> Path:
    """Where unpacked files go: `~/.cache/orchestrator/sshd/`."""
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/")) / ".cache")
    return Path(base) / "orchestrator" / "sshd"


def _unpacked(root: Path) -> Sshd | None:
    server = root / "usr/sbin/sshd"
    if not server.is_file():
        return None
    options = []
    for name, option in (("sshd-session", "SshdSessionPath"), ("sshd-auth", "SshdAuthPath")):
        program = root / "usr/lib/openssh" / name
        if program.is_file():  # OpenSSH 9.8 and 10.0 split the server, and know their parts by absolute path
            options.append(f"{option} {program}")
    keygen = root / "usr/bin/ssh-keygen"
    found = keygen if keygen.is_file() else Path(shutil.which("ssh-keygen") or "ssh-keygen")
    return Sshd(server, found, {"LD_LIBRARY_PATH": _libraries(root)}, tuple(options))


def _libraries(root: Path) -> str:
    return os.pathsep.join(str(path) for path in (*root.glob("usr/lib/*-linux-*"), *root.glob("lib/*-linux-*")))


def lay_clients(root: Path, place: Path) -> None:
    """Make `client/` below *root* with `ssh`, `scp` and `sftp` that find the unpacked libraries, and each other.

    *place* is where *root* will lie in the end.
    """
    (root / "client").mkdir(exist_ok=True)
    libraries = _libraries(root).replace(str(root), str(place))
    for name in CLIENTS:
        other = "" if name == "ssh" else f" -S {shlex.quote(str(place / 'client/ssh'))}"
        program = shlex.quote(str(place / "usr/bin" / name))
        script = root / "client" / name
        script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(libraries)} exec {program}{other} "$@"\n')
        script.chmod(0o755)


def install_server(environ: Mapping[str, str], echo: Echo) -> Sshd:
    """Get a server: the distribution's package as root or with password-less sudo, or its files into the cache.

    The unpacked client is for machines without one. The system's own SSH service is neither started nor enabled by us.
    Raises E202.
    """
    for tool, words in INSTALLERS:
        prefix = _privileged()
        if shutil.which(tool) and prefix is not None and environ.get("ORCHESTRATOR_SSHD") != "cache":
            echo(f"installing the distribution's package: {' '.join(words)} (about half a minute)")
            with progress_heartbeat(echo, tool):
                done = _install_package([*prefix, *words], [*prefix, tool, "update"] if tool == "apt-get" else None)
            if done:
                return find_server(environ)
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        echo(f"unpacking the distribution's OpenSSH into {server_cache(environ)} (no root needed, about a minute)")
        with progress_heartbeat(echo, "OpenSSH"):
            _unpack(server_cache(environ))
        return find_server({**environ, "ORCHESTRATOR_SSHD": "cache"})
    raise OrchestratorError("E202", "there is neither a package manager that we know nor a way to use it without root")


def _privileged() -> list[str] | None:
    """The words before a command that needs root: none for root, sudo if it needs no password; None: not possible."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


def _install_package(words: list[str], update: list[str] | None) -> bool:
    """Run the package manager; the environment keeps its service scripts from starting anything."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    done = subprocess.run(words, capture_output=True, env=env, check=False)
    if done.returncode != 0 and update is not None:
        subprocess.run(update, capture_output=True, env=env, check=False)
        done = subprocess.run(words, capture_output=True, env=env, check=False)
    return done.returncode == 0


def _unpack(target: Path) -> None:
    """Download the packages as an ordinary user, and unpack their files below *target*, all or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        root = Path(folder) / "root"
        for package in UNPACKED:
            done = subprocess.run(
                ["apt-get", "download", package], cwd=folder, capture_output=True, text=True, check=False
            )
            if done.returncode != 0 and package == "openssh-server":
                done = _download_with_own_lists(Path(folder), package)
                if done.returncode != 0:
                    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                    raise OrchestratorError("E202", f"apt-get download {package}: {last}")
        for archive in sorted(Path(folder).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True, capture_output=True)
        if not (root / "usr/sbin/sshd").is_file():
            raise OrchestratorError("E202", "the distribution's package has no sshd in it")
        lay_clients(root, target)
        if target.exists():  # it could not be used, otherwise none would be installed
            target.rename(Path(folder) / "old")
        root.rename(target)


def _download_with_own_lists(folder: Path, package: str) -> "subprocess.CompletedProcess[str]":
    """Fetch the package lists into a folder of our own first: a new machine has none, and only root may update its."""
    lists, cached = folder / "lists", folder / "cache"
    for path in (lists / "partial", cached / "archives" / "partial"):
        path.mkdir(parents=True)
    options = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cached}", "-o", "APT::Sandbox::User="]
    subprocess.run(["apt-get", *options, "update"], cwd=folder, capture_output=True, check=False)
    wanted = [package, *(name for name in UNPACKED if name != package)]
    for name in wanted[1:]:
        subprocess.run(["apt-get", *options, "download", name], cwd=folder, capture_output=True, check=False)
    return subprocess.run(
        ["apt-get", *options, "download", package], cwd=folder, capture_output=True, text=True, check=False
    )
