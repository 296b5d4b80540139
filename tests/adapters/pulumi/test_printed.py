"""What an engine prints."""

import os

from orchestrator.adapters.pulumi.printed import CHUNK, Printed


def test_what_is_printed_arrives_whole() -> None:
    """What an engine prints arrives in order and whole, also the last of it."""
    reading, writing = os.pipe()
    with Printed(writing) as printed:
        os.write(printed.handle, b"one\n")
        os.write(printed.handle, b"two\n")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"one\ntwo\n"


def test_an_engine_prints_although_nothing_reads() -> None:
    """An engine can print more than a pipe holds after the reader of its job has died."""
    reading, writing = os.pipe()
    os.close(reading)
    with Printed(writing) as printed:
        for _ in range(40):
            assert os.write(printed.handle, b"x" * CHUNK) == CHUNK
    os.close(writing)
