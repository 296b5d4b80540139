"""What an engine prints."""

import os
import re
import threading
import time

import pytest

from orchestrator.adapters.pulumi import printed as printed_module
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


def test_what_waits_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that prints faster than it is read loses the middle of its output, which a line states, and memory is freed."""
    monkeypatch.setattr(printed_module, "MOST", 1 << 20)
    monkeypatch.setattr(printed_module, "TAIL", 1 << 19)
    reading, writing = os.pipe()
    found: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as file:
            while data := file.read(CHUNK):
                found.append(data)
                time.sleep(0.001)

    reader = threading.Thread(target=read)
    sizes = []
    with Printed(writing) as printed:
        os.write(printed.handle, b"the beginning\n")
        reader.start()
        for number in range(400):
            os.write(printed.handle, b"%06d" % number + b"x" * (CHUNK - 6))
            time.sleep(0.0005)
            sizes.append(os.fstat(printed.handle).st_blocks * 512)
        os.write(printed.handle, b"\nthe end\n")
    os.close(writing)
    reader.join()
    text = b"".join(found)
    cut = [int(number) for number in re.findall(rb"\[\xe2\x80\xa6 (\d+) bytes were left out here", text)]
    assert text.startswith(b"the beginning\n000000x")
    assert text.endswith(b"\nthe end\n")
    assert cut
    assert len(re.sub(rb"\n\[[^]]*\]\n", b"", text)) == 400 * CHUNK + 23 - sum(cut)
    assert max(sizes) < 12 << 20
