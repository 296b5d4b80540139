"""The short form of `make load`."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime

import pytest

from tests.campaigns import load
from tests.campaigns.load_client import Connections, Listener


@pytest.mark.long
def test_listeners_lose_nothing_while_a_promotion_runs() -> None:
    """Every page and list responds while a promotion runs, and each of 60 listeners gets each event once, in order."""
    words = "--environments 6 --runs 200 --rate 8 --alone 0 --each 0 --seconds 10 --listeners 60 --pause 0.02 --counts"
    assert load.main(words.split()) == 0


def test_a_connection_that_the_server_has_closed_is_not_a_request_without_response() -> None:
    """The client uses a connection again until the server closes it; after many were closed at once it opens another one."""

    async def work() -> tuple[list[int], list[int]]:
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b"\r\n\r\n"):
                    await asyncio.sleep(0.05)
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            client = Connections(server.sockets[0].getsockname()[1])
            first = await asyncio.gather(*(client.get("/", "") for _ in range(5)))
            for writer in writers:
                writer.close()
            for writer in writers:
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            found = [await client.get("/", "") for _ in range(2)]
            assert len(writers) == 6
            client.close()
        return first, found

    assert asyncio.run(work()) == ([200] * 5, [200] * 2)


def test_a_listener_connects_again_when_its_stream_has_ended() -> None:
    """The server ends a stream and keeps the connection: the listener gets each event once, and the later ones at once."""

    async def work() -> Listener:
        streams = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal streams
            streams += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            at = datetime.now(UTC).isoformat()
            event = f'id: 0.{streams}\nevent: run\ndata: {{"at":"{at}"}}\n\n'.encode()
            for part in (event[:9], event[9:]):
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            writer.write(b"0\r\n\r\n")
            await reader.read()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            made = Listener(server.sockets[0].getsockname()[1], "", "0.0", leaves=False)
            listening = asyncio.create_task(made.run(random.Random(1)))
            for _ in range(100):
                await asyncio.sleep(0.05)
                if len(made.ids) == 3:
                    break
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        return made

    found = asyncio.run(work())
    assert (found.ids, found.connects, found.refused) == (["0.1", "0.2", "0.3"], 3, 0)
    assert max(found.delays) < 2
