"""Hosts on this machine: each an unprivileged SSH server with an address, a key and a folder of its own.

Below the state folder, `hosts/<stack>/` holds the client's key, and `hosts/<stack>/<name>/` one host:

    root/          what the host calls its own: home, releases, temporary files
    host.json      address, ports, and how it is isolated
    sshd_config, sshd.pid, host_key, known_hosts, sshd.log

What runs on a host carries its mark in its environment, and so is found again by any later process, and ended with the
host. The server itself writes the title of its process over its environment: it is found by the file with its number,
believed only when that process names this host's configuration, and its sessions are its descendants. So is what they
leave behind, whatever its environment: on Linux the server adopts it.

An isolated process uses a broker outside of its view (`asking`) in place of starting a server, which would end with it.

With bubblewrap a host sees the system read-only, its own folder, its own processes, and nothing of the other hosts.
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import pwd
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.names import HOST, HOST_MARK
from orchestrator.hosts import asking, sshd
from orchestrator.processes import command_line, family, kill_tree, tagged
from orchestrator.trees import discard, remove

MARK = HOST_MARK
SSH_PORT, APP_PORT = 2222, 8080
PATIENCE = 20.0
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
_ADOPT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, kept by what it runs next
os.execv(sys.argv[1], sys.argv[1:])
"""
_ADOPTING = [sys.executable, "-I", "-S", "-c", _ADOPT] if sys.platform.startswith("linux") else []


@dataclass(frozen=True)
class Host:
    """A loopback host. *folder* is its own; *app_port* is free on its address for what is deployed on it.

    *word* is in its name in folders that other users of this machine share: they cannot guess it.
    """

    name: str
    address: str
    port: int
    app_port: int
    user: str
    folder: str
    isolated: bool
    word: str = ""

    @property
    def stack(self) -> str:
        """The stack that it belongs to."""
        return Path(self.folder).parent.name

    @property
    def root(self) -> str:
        """What the host calls its own."""
        return f"{self.folder}/root"

    @property
    def mark(self) -> str:
        """What all its processes carry in their environment."""
        return f"{MARK}={self.folder}"

    def variables(self) -> dict[str, object]:
        """What Ansible needs to reach it, with host-key checking on."""
        file = f"UserKnownHostsFile={_quoted(f'{self.folder}/known_hosts')}"
        known = f"-o {shlex.quote(file)} -o GlobalKnownHostsFile=/dev/null"
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": self.user,
            "ansible_ssh_private_key_file": str(Path(self.folder).parent / "client_key"),
            "ansible_ssh_common_args": f"{known} -o IdentitiesOnly=yes",
            "ansible_python_interpreter": os.path.realpath(sys.executable),
            "ansible_remote_tmp": self.scratch,
            "host_root": self.root,
            "orchestrator_root": self.root,
            "app_port": self.app_port,
        }

    @property
    def scratch(self) -> str:
        """Where Ansible may put its files: it cannot copy to a folder with a blank in its path."""
        shared = "-".join(filter(None, ["/tmp/.ansible", self.user, self.word]))  # noqa: S108
        return shared if _blank(self.root) else f"{self.root}/.ansible/tmp"


def _blank(path: object) -> bool:
    return re.search(r"\s", str(path)) is not None


def _quoted(path: object) -> str:
    """A path as OpenSSH's files and options take it: in quotation marks where a blank would end it."""
    return f'"{path}"' if _blank(path) else str(path)


def hosts_folder() -> Path:
    """Where hosts live: `ORCHESTRATOR_STATE` (set by the orchestrator), or the user's own state folder."""
    chosen = os.environ.get("ORCHESTRATOR_STATE")
    return Path(chosen) if chosen else Path.home() / ".local" / "state" / "orchestrator"


def check(name: str, address: str | None = None, port: int | None = None) -> None:
    """Whether a host may be called and be reached like this. Raises E123 and E205."""
    if not HOST.match(name):
        raise OrchestratorError("E123", f"{name!r} cannot be a host's name")
    with contextlib.suppress(ValueError):
        if address is None or ipaddress.IPv4Address(address) in LOOPBACK:
            if port is None or 0 < port < 2**16:
                return
            raise OrchestratorError("E205", f"{name}: {port} is not a port")
    raise OrchestratorError("E205", f"{name}: {address!r} is not an address of 127.0.0.0/8")


def start(stack: str, name: str, *, address: str | None = None, port: int | None = None) -> Host:
    """Make sure that the host exists and responds. Starts it if it does not. Raises E123, E201, E203, E204, E205.

    Of a new host that does not start nothing is left.
    """
    check(name, address, port)
    if asking.has_broker():
        return Host(**asking.ask_broker("start", stack, name, address=address, port=port))
    server = sshd.find_server(os.environ)
    hosts = hosts_folder() / "hosts"
    folder = hosts / stack / name
    hosts_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    hosts.mkdir(exist_ok=True, mode=0o700)
    known = find_host(stack, name)
    try:
        with _locked(hosts):
            (folder / "root" / ".ansible" / "tmp").mkdir(parents=True, exist_ok=True)
            _client_key(folder.parent, server)
        return _started(folder, server, known, address, port)
    except BaseException:
        if known is None:
            _remove(folder)
        raise


def _started(folder: Path, server: sshd.Sshd, known: Host | None, address: str | None, port: int | None) -> Host:
    """The host in *folder*: the *known* one if it runs with the requested address and port, otherwise a new one."""
    if known is not None and alive(known) and address in (None, known.address) and port in (None, known.port):
        return known
    if known is not None:
        end_processes(known)
        address, port = address or known.address, port or known.port
    where = address or own_address(folder)
    ssh_port = port or (SSH_PORT if where != "127.0.0.1" else _free_port(where))
    app_port = APP_PORT if where != "127.0.0.1" else (known.app_port if known else _free_port(where))
    user = pwd.getpwuid(os.geteuid()).pw_name
    word = known.word if known is not None else secrets.token_hex(8)
    host = Host(folder.name, where, ssh_port, app_port, user, str(folder), _bubblewrap_works(), word)
    _configure(host, server)
    _launch(host, server)
    (folder / "host.json").write_text(json.dumps(asdict(host)))
    return host


def find_host(stack: str, name: str) -> Host | None:
    """The host as it was recorded; None when there is none."""
    if asking.has_broker():
        answer = asking.ask_broker("find", stack, name)
        return Host(**answer) if answer is not None else None
    file = hosts_folder() / "hosts" / stack / name / "host.json"
    return Host(**json.loads(file.read_text())) if file.is_file() else None


def recorded(state: Path) -> list[Host]:
    """Every host that is recorded below the state folder."""
    return [Host(**json.loads(file.read_text())) for file in sorted(state.glob("hosts/*/*/host.json"))]


def alive(host: Host) -> bool:
    """Whether the host really runs: its server is a running process, and responds as SSH."""
    if asking.has_broker():
        return bool(asking.ask_broker("alive", Path(host.folder).parent.name, host.name))
    return bool(_server(host)) and _answers(host)


def processes(host: Host) -> list[int]:
    """Everything that runs on the host: its server, the server's sessions, and what they have started."""
    return list(dict.fromkeys([*family(_server(host)), *tagged(host.mark)]))


def end_processes(host: Host) -> None:
    """End everything that runs on the host. Raises `TimeoutError`."""
    if not kill_tree(host.mark, roots=lambda: _server(host)):
        raise TimeoutError(f"processes of {host.name} cannot be ended")


def _server(host: Host) -> list[int]:
    """The host's server process, or with bubblewrap the one that holds it; none when it does not run."""
    with contextlib.suppress(OSError, ValueError):
        process = int(Path(f"{host.folder}/sshd.pid").read_text())
        if f"{host.folder}/sshd_config" in command_line(process):
            return [process]
    # inside a process namespace the server knows itself by another number; what holds it there keeps its environment
    return [process for process in tagged(host.mark) if f"{host.folder}/sshd_config" in command_line(process)]


def remove_host(host: Host) -> None:
    """End all that runs on the host, and remove its folder: nothing of it is left. Raises `TimeoutError`."""
    if asking.has_broker():
        asking.ask_broker("stop", Path(host.folder).parent.name, host.name)
        return
    end_processes(host)
    if host.word:  # without one, other hosts of the user have the same folder
        discard(Path(host.scratch))
    _remove(Path(host.folder))


def _remove(folder: Path) -> None:
    """Remove a host's folder, and with the last one that of its stack: no other host is being made there meanwhile."""
    with _locked(folder.parent.parent):
        discard(folder)
        with contextlib.suppress(OSError):
            if not [path for path in folder.parent.iterdir() if path.is_dir()]:
                remove(folder.parent)


def own_address(folder: Path) -> str:
    """An address of 127.0.0.0/8 that belongs to *folder*, on systems that have all of them; otherwise 127.0.0.1."""
    if not sys.platform.startswith("linux"):
        return "127.0.0.1"
    seed = str(folder).encode()
    for attempt in range(64):
        one, two, three = hashlib.sha256(seed + bytes([attempt])).digest()[:3]
        address = f"127.{64 + one % 64}.{two}.{1 + three % 254}"
        if _free(address, SSH_PORT) and _free(address, APP_PORT):
            return address
    raise OrchestratorError("E204", f"no free loopback address was found for {folder.name}")


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _client_key(folder: Path, server: sshd.Sshd) -> None:
    """The key that reaches every host of the stack: made once, readable by its owner only."""
    if not (folder / "client_key").exists():
        _keygen(server, folder / "client_key.new")
        (folder / "client_key.new.pub").rename(folder / "client_key.pub")
        (folder / "client_key.new").rename(folder / "client_key")


def _keygen(server: sshd.Sshd, path: Path) -> None:
    path.unlink(missing_ok=True)
    words = [str(server.keygen), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, env={**os.environ, **server.env}, capture_output=True)


def _configure(host: Host, server: sshd.Sshd) -> None:
    folder = Path(host.folder)
    if not (folder / "host_key").exists():
        _keygen(server, folder / "host_key")
    public = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[{host.address}]:{host.port} {public}\n")
    lines = [
        f"ListenAddress {host.address}:{host.port}",
        f"HostKey {_quoted(folder / 'host_key')}",
        f"AuthorizedKeysFile {_quoted(folder.parent / 'client_key.pub')}",
        f"AllowUsers {host.user}",
        f"SetEnv {_quoted(f'{MARK}={folder}')} {_quoted(f'HOME={host.root}')}",
        f"PidFile {_quoted(folder / 'sshd.pid')}",
        "UsePAM no",
        "StrictModes no",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "AllowTcpForwarding no",
        "AllowAgentForwarding no",
        "X11Forwarding no",
        "PrintMotd no",
        "PrintLastLog no",
        "UseDNS no",
        "KexAlgorithms -sntrup*,mlkem*",  # what resists quantum computers takes a client six times as long
        "Compression no",
        "MaxStartups 200:30:400",
        "MaxSessions 200",
        "LogLevel ERROR",
        "Subsystem sftp internal-sftp",
        *server.options,
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")


def _launch(host: Host, server: sshd.Sshd) -> None:
    """Start the server as a process that outlives us, and wait until it answers."""
    if not _free(host.address, host.port):
        raise OrchestratorError("E204", f"{host.address}:{host.port} is taken by another program")
    if os.geteuid() == 0 and not host.isolated:
        Path("/run/sshd").mkdir(exist_ok=True)  # a server that runs as root needs its empty folder
    command = [str(server.path), "-D", "-e", "-f", f"{host.folder}/sshd_config"]
    env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", MARK: host.folder, **server.env}
    with open(f"{host.folder}/sshd.log", "ab") as log:  # noqa: PTH123
        process = subprocess.Popen(
            [*(_box(host) if host.isolated else _ADOPTING), *command],
            env=env,
            cwd=host.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    while not _answers(host):
        if process.poll() is not None or time.monotonic() > deadline:
            end_processes(host)
            last = Path(f"{host.folder}/sshd.log").read_text(errors="replace").strip().splitlines()[-3:]
            raise OrchestratorError("E203", f"{host.name} does not start: {' / '.join(last) or 'no message'}")
        time.sleep(0.01)


def _answers(host: Host) -> bool:
    try:
        with socket.create_connection((host.address, host.port), timeout=5) as connection:
            return connection.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False


def _box(host: Host) -> list[str]:
    """Bubblewrap's words: the system read-only, this host's folder, and its own processes and temporary files."""
    state = str(hosts_folder())
    words = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run"]  # noqa: S108
    words += ["--dir", "/run/sshd", "--tmpfs", state, "--bind", host.folder, host.folder]
    words += ["--ro-bind", f"{Path(host.folder).parent}/client_key.pub", f"{Path(host.folder).parent}/client_key.pub"]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", host.name]
    words += ["--cap-add", "ALL"] if os.geteuid() == 0 else []
    return [*words, "--"]


_works: list[bool] = []


def isolation() -> bool:
    """Whether hosts that are started now will be isolated from this machine."""
    return _bubblewrap_works()


def _bubblewrap_works() -> bool:
    """Whether the system has bubblewrap and lets us use it; many forbid user namespaces."""
    if not _works:
        words = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--unshare-uts"]
        wanted = os.environ.get("ORCHESTRATOR_ISOLATION", "auto") != "none" and shutil.which("bwrap")
        _works.append(
            bool(wanted)
            and subprocess.run([*words, "--", "true"], capture_output=True, check=False, timeout=10).returncode == 0
        )
    return _works[0]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
