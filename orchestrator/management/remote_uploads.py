"""The upload of a package or a project definition to a server: it continues after the end of either process."""

from pathlib import Path

from orchestrator.domain.error_codes import UPLOAD_OFFSET
from orchestrator.domain.errors import OrchestratorError
from orchestrator.management.remote_application import RemoteUseCases, reply_document
from orchestrator.ports.servers import ServerReply

PART_BYTES = 512 * 1024
ATTEMPTS = 5
"""How often an upload continues at another offset than the client expects."""


def upload_package(forwarder: RemoteUseCases, file: Path, digest: str) -> None:
    """Upload the sealed *file* with the package *digest*, unless the server keeps it. Raises N-codes and P-codes."""
    _upload(forwarder, file, f"/api/v1/packages/{digest}")


def upload_definition(forwarder: RemoteUseCases, file: Path, digest: str) -> None:
    """Upload the archive *file* of the definition *digest*, unless the server keeps it. Raises N-codes and F-codes."""
    _upload(forwarder, file, f"/api/v1/definition-uploads/{digest}")


def _upload(forwarder: RemoteUseCases, file: Path, path: str) -> None:
    """Upload *file* to *path* from the offset on at which the server has no more of it."""
    connection = forwarder.connection
    total, attempts = file.stat().st_size, 0
    with file.open("rb") as source:
        while True:
            head = _checked(forwarder, connection.get(path))
            if head.is_complete:
                return
            offset = head.offset if head.offset < total else max(0, total - PART_BYTES)  # the end is repeated
            try:
                while offset < total:
                    source.seek(offset)
                    data = source.read(PART_BYTES)
                    place = f"bytes {offset}-{offset + len(data) - 1}/{total}"
                    offset = _checked(forwarder, connection.put(path, data, place)).offset
                return
            except OrchestratorError as error:
                attempts += 1
                if error.code != UPLOAD_OFFSET or attempts == ATTEMPTS:
                    raise


def _checked(forwarder: RemoteUseCases, reply: ServerReply) -> ServerReply:
    """*reply*, if it reports no error. Raises those that it reports."""
    if reply.status >= 300:
        reply_document(forwarder.connection.url, reply)
    return reply
