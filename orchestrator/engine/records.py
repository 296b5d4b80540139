"""The records of durable execution of requests that are complete: which there are, and their removal."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 500
ENDED = ["SUCCESS", "ERROR", "CANCELLED"]


@contextlib.contextmanager
def _client(url: str) -> Iterator[Any]:
    """A client of DBOS; None while its database does not exist."""
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        yield None
        return
    from dbos import DBOSClient, DBOSPortableJSONSerializer

    client = DBOSClient(
        system_database_url=url, serializer=DBOSPortableJSONSerializer(), system_database_pool_size=1, lazy=True
    )
    try:
        yield client
    finally:
        client.destroy()


def complete_requests(url: str, by: str) -> set[str]:
    """The requests whose workflow was complete *by* a time (ISO 8601)."""
    found: set[str] = set()
    with _client(url) as client:
        while client is not None:
            about = {"load_input": False, "load_output": False, "name": "walk", "status": ENDED}
            page = client.list_workflows(completed_before=by, limit=PAGE, offset=len(found), **about)
            found |= {status.workflow_id for status in page}
            if len(page) < PAGE:
                break
    return found


def remove_request(url: str, root: str) -> None:
    """Remove the records of the request *root*, and of its parts."""
    with _client(url) as client:
        if client is not None:
            client.delete_workflows([root], delete_children=True)
