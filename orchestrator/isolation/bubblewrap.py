"""Isolation by bubblewrap: the words of its command line."""

from orchestrator.isolation.mount import LINK, MEMORY, NOTHING, READ, WRITE, Mount
from orchestrator.isolation.namespaces import KERNEL

APART = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL",
)  # fmt: skip
"""Namespaces of its own for users, processes and System V IPC; the network and the host name are the machine's."""

ENV = "/usr/bin/env"


def bubblewrap_words(
    program: str,
    made: list[Mount],
    files: dict[str, int],
    cwd: str,
    name: str,
    *,
    tied: bool = True,
    first: int = -1,
) -> list[str]:
    """The command that starts another command in the mounts *made*.

    Args:
        program: the path of bubblewrap.
        made: the mounts, in order.
        files: files in memory by their paths: the number of the descriptor that has the content.
        cwd: where the command starts.
        name: the program of that command.
        tied: it ends with the process that starts it.
        first: the number of the descriptor to which bubblewrap writes which process is the first of the namespace.
    """
    found = [program, *APART, *(["--die-with-parent"] if tied else [])]
    found += ["--info-fd", str(first)] if first >= 0 else []
    for mount in made:
        found += _mount(mount)
    found += ["--proc", "/proc", "--dev", "/dev"]
    for setting in KERNEL:  # bubblewrap leaves `/proc/sys` open to a process of root
        found += ["--ro-bind-try", f"/proc/{setting}", f"/proc/{setting}"]
    for path, number in files.items():
        found += ["--perms", "0600", "--file", str(number), path]
    found += ["--remount-ro", "/"]  # what is written outside of its folders fails, and is not lost without a word
    # `env` ends with 127 and 126, as a shell does, if there is no such program; bubblewrap itself would end with 1. And
    # it removes the variable that bubblewrap has added.
    return [*found, "--chdir", cwd, "--", *([] if "=" in name else [ENV, "-u", "PWD"])]


def _mount(mount: Mount) -> list[str]:
    words = {
        READ: ["--ro-bind", mount.source, mount.target],
        WRITE: ["--bind", mount.source, mount.target],
        MEMORY: ["--perms", "0700", "--tmpfs", mount.target],
        LINK: ["--symlink", mount.source, mount.target],
        NOTHING: ["--ro-bind", "/dev/null", mount.target],
    }
    return words[mount.kind]
