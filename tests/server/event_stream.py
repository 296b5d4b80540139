"""What a client reads from the stream of events."""

import http.client
import json
import threading
from collections.abc import Iterator


def run_events(response: http.client.HTTPResponse, stopped: threading.Event) -> Iterator[tuple[str, tuple[str, int]]]:
    """Each event of an accepted *response*, as its id and its run with the number of the entry, until *stopped*."""
    given = ""
    while response.status == 200 and not stopped.is_set() and (line := response.readline().decode()):
        name, _, value = line.rstrip("\n").partition(": ")
        if name == "id":
            given = value
        elif name == "data":
            found = json.loads(value)
            yield given, (found["run"], found["seq"])
