"""A small HTTP client for `make load`: it costs less processor time than the server that it measures."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

LIMIT_S = 60.0
LARGEST_LINE = 1024 * 1024


@dataclass
class Answer:
    """One response: its *status* (0: none), and the milliseconds from the time at which it was due."""

    path: str
    status: int
    milliseconds: float


@dataclass
class Connections:
    """Connections to the server at *port*, which are used again."""

    port: int
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def get(self, path: str, token: str) -> int:
        """The status of the response to one request; its body is read."""
        for attempt in range(2):  # the server may close an idle connection at the time of a request
            kept = self._kept() if attempt == 0 else None
            reader, writer = kept or await self._open()
            try:
                writer.write(request_bytes(path, token))
                status, closes = await asyncio.wait_for(_read_response(reader), LIMIT_S)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                writer.close()
                if kept is None:
                    return 0
                continue
            if closes:
                writer.close()
            else:
                self.free.append((reader, writer))
            return status
        return 0

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The connection that was used last, of those that the server has not closed; None if there is none."""
        while self.free:
            reader, writer = self.free.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=LARGEST_LINE)

    def close(self) -> None:
        """Close every connection."""
        for _, writer in self.free:
            writer.close()
        self.free.clear()


def request_bytes(path: str, token: str, *more: str) -> bytes:
    """A request as it is sent."""
    kind = "application/json" if path.startswith("/api/") else "text/html"
    lines = (f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", f"Accept: {kind}", *more)
    return "\r\n".join((*lines, "", "")).encode()


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of a response, and whether the server closes the connection after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    if "content-length:" in head:
        await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
    elif "chunked" in head:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    return status, "connection: close" in head


async def request_all(port: int, tokens: list[str], paths: Iterator[str], rate: float, seconds: float) -> list[Answer]:
    """Send *rate* requests in each second, whether earlier ones have been answered or not."""
    connections, found, open_tasks = Connections(port), list[Answer](), set[asyncio.Task[None]]()
    start, number = time.monotonic(), 0

    async def one(path: str, token: str, due: float) -> None:
        status = await connections.get(path, token)
        found.append(Answer(path, status, 1000 * (time.monotonic() - due)))

    while (due := start + number / rate) < start + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(one(next(paths), tokens[number % len(tokens)], due))
        open_tasks.add(task)
        task.add_done_callback(open_tasks.discard)
        number += 1
    while open_tasks:
        await asyncio.wait(set(open_tasks))
    connections.close()
    return found


@dataclass
class Listener:
    """A listener of live events: the ids that it got, in order, and after how many seconds each."""

    port: int
    token: str
    cursor: str
    leaves: bool
    """Whether it closes its connection now and then, at random, and continues with its last id."""
    ids: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    connects: int = 0
    refused: int = 0

    async def run(self, chance: random.Random) -> None:
        """Listen until it is cancelled."""
        while True:
            self.connects += 1
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(chance.uniform(2, 20) if self.leaves else None):
                    await self._listen()
            await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=LARGEST_LINE)
        try:
            writer.write(request_bytes("/api/v1/events", self.token, f"Last-Event-ID: {self.cursor}"))
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                self.refused += 1
                await asyncio.sleep(1)
                return
            text = ""
            async for chunk in _chunks(reader):  # the server ends a stream after some minutes, and keeps the connection
                *events, text = (text + chunk).split("\n\n")
                for event in events:
                    self._take(event)
        finally:
            writer.close()

    def _take(self, text: str) -> None:
        """Take one event."""
        lines = text.splitlines()
        cursor = next((line[4:] for line in lines if line.startswith("id: ")), None)
        if cursor is None or "event: run" not in lines:
            return
        self.cursor = cursor
        self.ids.append(cursor)
        written = next(line for line in lines if line.startswith("data: ")).partition('"at":"')[2].partition('"')[0]
        self.delays.append(time.time() - _seconds(written))


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """The chunks of a response, until its last one."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size)).decode()
        await reader.readexactly(2)


def _seconds(text: str) -> float:
    """The time of an entry in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def measured_time() -> Iterator[list[float]]:
    """The seconds of processor time that this process uses in the block, as the one item of a list."""
    found, began = list[float](), time.process_time()
    yield found
    found.append(time.process_time() - began)
