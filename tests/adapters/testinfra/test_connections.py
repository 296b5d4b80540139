"""The connection of a suite to a host whose agent does not speak as ours does."""

import os
import struct
import sys

import pytest

from orchestrator.adapters.testinfra.agent import HELLO
from orchestrator.adapters.testinfra.connections import Agent, Unable, Unreachable

ANSWERS = {
    "another kind of frame": b"z" + struct.pack(">I", 1) + b"x",
    "a status that is no number": b"x" + struct.pack(">I", 2) + "²".encode(),
    "a status of 5000 digits": b"x" + struct.pack(">I", 5000) + b"9" * 5000,
    "a frame of 4 GiB": b"o" + struct.pack(">I", 2**32 - 1),
    "a frame that ends early": b"o" + struct.pack(">I", 10) + b"x",
    "half of a frame": b"o\0",
    "nothing": b"",
}


def agent(said: bytes, before: int = 0) -> Agent:
    """What a host says, whatever it is asked, after so many bytes of a login."""
    script = f"import os, sys\nsys.stdout.write('x' * {before})\nsys.stdout.flush()\nos.write(1, {said!r})\nsys.stdin.read(1)\n"
    return Agent([sys.executable, "-S", "-c", script], dict(os.environ), 30.0)


@pytest.mark.parametrize("what", ANSWERS)
def test_a_host_that_does_not_answer_as_the_agent_has_no_agent(what: str) -> None:
    """Frames that our agent never sends end the connection, as one that was closed, and take no memory."""
    opened = agent(HELLO + ANSWERS[what])
    try:
        with pytest.raises(EOFError):
            opened.run(b"true")
    finally:
        opened.close()


def test_a_login_prints_within_bounds() -> None:
    """What a login prints before the agent answers may be long, but not without an end."""
    opened = agent(b"welcome\n" * 1000 + HELLO + b"x" + struct.pack(">I", 1) + b"3")
    assert opened.run(b"true") == (3, b"", b"")
    opened.close()
    with pytest.raises((Unable, Unreachable)):
        agent(HELLO, before=3_000_000)
