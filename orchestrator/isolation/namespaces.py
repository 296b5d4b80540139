"""Isolation by the kernel's own user namespaces, for machines without bubblewrap.

Started as a program of its own by :func:`namespaces_words`. It reads what to do from a descriptor, makes the
namespaces and the mounts, and runs the command below a first process that ends everything when the command has ended. A
process of root has no capability in them: it cannot undo a mount, or act for another user.
"""

import marshal
import os
import sys

from orchestrator.isolation.isolator import CANNOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

NEW = 0x00020000 | 0x08000000 | 0x10000000 | 0x20000000  # mounts, IPC, users, processes
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
SETATTR = 442  # the number of mount_setattr on every architecture
AT_FDCWD, AT_RECURSIVE, RDONLY = -100, 0x8000, 1
SIGKILL = 9
DEATH, NO_NEW_PRIVILEGES, DROP_BOUNDING, AMBIENT, CLEAR_ALL = 1, 38, 24, 47, 4
PIVOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91, "ppc64le": 184, "s390x": 185}
BASE = "/tmp"  # noqa: S108 - any folder that exists: nothing is written to it
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
KERNEL = ("sys", "sysrq-trigger", "irq", "bus")  # settings of the kernel below /proc
_PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = (  # as a module, which is compiled once, and not each time as a program
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from orchestrator.isolation.namespaces import main; "
    "sys.exit(main(int(sys.argv[1]), sys.argv[2:]))"
)
FAILED = 125  # the exit code when the isolation itself cannot be made


def namespaces_words(number: int) -> list[str]:
    """The command that starts another command: *number* is the descriptor that it reads its order from."""
    return [sys.executable, "-I", "-S", "-c", _START, _PACKAGES, str(number)]


def order(
    made: "Sequence[tuple[str, str, str]]", files: "dict[str, int]", cwd: str, variables: "list[str]", *, tied: bool
) -> bytes:
    """What the program reads from its descriptor.

    *variables* are the names that the environment of the command has. If it is *tied*, it ends with what starts it.
    """
    mounts = [tuple(mount) for mount in made]
    return marshal.dumps({"mounts": mounts, "files": files, "cwd": cwd, "variables": variables, "tied": tied})


class _Kernel:
    """The calls that Python does not have."""

    def __init__(self) -> None:
        import ctypes  # here, since the supervisor of every job reads this module

        self._types = ctypes
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._machine = os.uname().machine

    def mount(self, source: str, target: str, kind: "str | None", flags: int, data: str = "") -> None:
        what = (source.encode(), target.encode(), kind.encode() if kind else None)
        self._check(self._libc.mount(*what, self._types.c_ulong(flags), data.encode()), f"mount {target}")

    def read_only(self, path: str, below: int = AT_RECURSIVE) -> None:
        attributes = (self._types.c_uint64 * 4)(RDONLY, 0, 0, 0)
        call = (SETATTR, AT_FDCWD, path.encode(), below, attributes, self._types.sizeof(attributes))
        self._check(self._libc.syscall(*call), f"mount_setattr {path}")

    def unshare(self, flags: int) -> None:
        self._check(self._libc.unshare(flags), "unshare")

    def pivot(self, new: str, old: str) -> None:
        self._check(self._libc.syscall(PIVOT[self._machine], new.encode(), old.encode()), "pivot_root")

    def unmount(self, path: str) -> None:
        self._check(self._libc.umount2(path.encode(), MNT_DETACH), f"umount {path}")

    def control(self, *numbers: int) -> bool:
        return int(self._libc.prctl(*map(self._types.c_ulong, (*numbers, *[0] * (5 - len(numbers)))))) == 0

    def without_capabilities(self) -> None:
        """Give up every capability, for this process and for all that it runs."""
        number = 0
        while self.control(DROP_BOUNDING, number):
            number += 1
        self.control(AMBIENT, CLEAR_ALL)
        self.control(NO_NEW_PRIVILEGES, 1)
        header, nothing = (self._types.c_uint32 * 2)(0x20080522, 0), (self._types.c_uint32 * 6)()
        self._check(self._libc.syscall(CAPSET[self._machine], header, nothing), "capset")

    def _check(self, result: int, what: str) -> None:
        if result:
            number = self._types.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")


def main(number: int, command: list[str]) -> int:
    """Run *command* by the order in the descriptor *number*; its exit code, or 128 plus the number of a signal."""
    kernel = _Kernel()
    with os.fdopen(number, "rb") as file:
        wanted = marshal.load(file)  # noqa: S302
    if wanted["tied"]:
        kernel.control(DEATH, SIGKILL)
    user, group = os.getuid(), os.getgid()
    try:
        kernel.unshare(NEW)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    except OSError as error:
        return _failed(error)
    first = os.fork()
    if first == 0:
        os._exit(_first(kernel, wanted, command))
    for numbers in wanted["files"].values():
        os.close(numbers)
    return _ended(os.waitpid(first, 0)[1])


def _first(kernel: _Kernel, wanted: "dict[str, Any]", command: list[str]) -> int:
    """The first process of the new namespace: make the mounts, run the command, and wait for it alone."""
    try:
        kernel.control(DEATH, SIGKILL)
        _mount_all(kernel, wanted["mounts"])
        for path, number in wanted["files"].items():
            _write(path, number)
        os.chdir(wanted["cwd"])
        kernel.without_capabilities()
    except OSError as error:
        return _failed(error)
    child = os.fork()
    if child == 0:
        os.setsid()
        env = {name: os.environ[name] for name in wanted["variables"] if name in os.environ}  # Python adds LC_CTYPE
        try:
            os.execvpe(command[0], command, env)  # noqa: S606
        except OSError as error:
            sys.stderr.write(f"cannot start {command[0]}: {error}\n")
            sys.stderr.flush()
            os._exit(127)
    while True:
        process, status = os.wait()
        if process == child:  # all other processes end with this one
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _mount_all(kernel: _Kernel, made: "list[tuple[str, str, str]]") -> None:
    """Make a new root with the mounts, and leave the old one."""
    kernel.mount("none", "/", None, MS_REC | MS_PRIVATE)
    kernel.mount("tmpfs", BASE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    new, old = f"{BASE}/new", f"{BASE}/old"
    os.mkdir(new)
    os.mkdir(old)
    os.close(os.open(f"{BASE}/closed", os.O_CREAT | os.O_WRONLY, 0))
    kernel.mount(new, new, None, MS_BIND)
    kernel.pivot(BASE, old)
    os.chdir("/")
    for kind, target, source in made:
        _make(kernel, kind, f"/new{target}", source)
    _devices(kernel)
    os.makedirs("/new/proc", exist_ok=True)
    kernel.mount("proc", "/new/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in KERNEL:  # a process of root could write to these without any capability
        if os.path.exists(f"/new/proc/{name}"):
            kernel.mount(f"/new/proc/{name}", f"/new/proc/{name}", None, MS_BIND | MS_REC)
            kernel.read_only(f"/new/proc/{name}")
    kernel.read_only("/new", 0)  # what is written outside of its folders fails, and is not lost without a word
    kernel.unmount("/old")
    os.chdir("/new")
    kernel.pivot(".", ".")
    kernel.unmount(".")
    os.chdir("/")


def _make(kernel: _Kernel, kind: str, target: str, source: str) -> None:
    if kind == "link":
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(source, target)
        return
    source = "/closed" if kind == "nothing" else f"/old{source}"
    if kind == "memory" or os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    if kind == "memory":
        kernel.mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700")
        return
    kernel.mount(source, target, None, MS_BIND | MS_REC)
    if kind != "write":
        kernel.read_only(target)


def _devices(kernel: _Kernel) -> None:
    os.makedirs("/new/dev", exist_ok=True)
    kernel.mount("tmpfs", "/new/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755")
    for name in DEVICES:
        os.close(os.open(f"/new/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o600))
        kernel.mount(f"/old/dev/{name}", f"/new/dev/{name}", None, MS_BIND)
    for name, number in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{number}", f"/new/dev/{name}")
    os.mkdir("/new/dev/shm", 0o700)
    os.mkdir("/new/dev/pts")
    try:
        kernel.mount("devpts", "/new/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
        os.symlink("pts/ptmx", "/new/dev/ptmx")
    except OSError:
        return  # without terminals a command works as well


def _write(path: str, number: int) -> None:
    target = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(number, "rb") as source, os.fdopen(target, "wb") as file:
        file.write(source.read())


def _failed(error: OSError) -> int:
    sys.stderr.write(f"{CANNOT}{error.strerror}\n")
    sys.stderr.flush()
    return FAILED


def _ended(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
