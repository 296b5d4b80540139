"""What runs on a host for as long as its tests do: one `python3` behind one ssh connection.

It takes commands as frames on standard input, runs each exactly as the SSH server would (the user's shell, `-c`, a
session of its own, an empty standard input), and passes the output on as it comes. Its source is sent to the host, so
it needs nothing but Python 3.6 and no other module of ours.

    to the agent     length (4 bytes, big-endian), command
    from the agent   kind (1 byte), length (4 bytes), data: `o` output, `e` error output, `x` the exit status in decimal
"""

import os
import pwd
import selectors
import signal
import struct
import subprocess
import sys

HELLO = b"\0orchestrator-agent-1\0"


def send(kind: bytes, data: bytes) -> None:
    """Write one frame."""
    view = memoryview(kind + struct.pack(">I", len(data)) + data)
    while view:
        view = view[os.write(1, view) :]


def receive(count: int) -> bytes:
    """Read exactly *count* bytes; the end of the input is the end of this program."""
    data = b""
    while len(data) < count:
        chunk = os.read(0, count - len(data))
        if not chunk:
            sys.exit(0)
        data += chunk
    return data


def session_environment(ctype: str) -> "dict[str, str]":
    """The session's own variables, without what a first shell and this interpreter have added to them."""
    env = {name: value for name, value in os.environ.items() if name not in {"SHLVL", "_", "OLDPWD", "LC_CTYPE"}}
    if ctype:
        env["LC_CTYPE"] = ctype
    return env


def run_command(command: bytes, shell: str, env: "dict[str, str]") -> None:
    """Run one command. When the other end goes away in the middle, the command is ended too."""
    child = subprocess.Popen(
        [shell.rpartition("/")[2].encode(), b"-c", command],
        executable=shell,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
    )
    assert child.stdin and child.stdout and child.stderr  # noqa: PT018
    child.stdin.close()
    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ, None)
    waiting.register(child.stdout, selectors.EVENT_READ, b"o")
    waiting.register(child.stderr, selectors.EVENT_READ, b"e")
    while len(waiting.get_map()) > 1:
        for key, _ in waiting.select():
            data = os.read(key.fd, 65536) if key.data else b""
            if key.data is None:
                os.killpg(child.pid, signal.SIGKILL)
                sys.exit(1)
            elif data:
                send(key.data, data)
            else:
                waiting.unregister(key.fileobj)
    code = child.wait()
    send(b"x", str(code if code >= 0 else 255).encode())  # ssh too returns 255 for a command that a signal ended


def main() -> None:
    """Serve until the other end goes away."""
    shell = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    env = session_environment(sys.argv[1])
    os.write(1, HELLO)
    while True:
        (length,) = struct.unpack(">I", receive(4))
        run_command(receive(length), shell, env)


if __name__ == "__main__":
    main()
