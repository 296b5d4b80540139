"""A connection to a server over HTTP, with httpx2. It is imported with the first connection."""

import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator import __version__, tracing
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.server_profiles import ServerProfile
from orchestrator.ports.servers import ServerReply

PATIENCE_S, CONNECT_S = 120.0, 10.0
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""How long is waited before each repetition."""
LONGEST_PAUSE_S = 30.0
SILENCE_S = 45.0
"""How long a stream may be silent: the server sends a comment every 15 s."""
OK = 200
BUSY = frozenset({429, 503})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HttpConnection:
    """A `ServerConnection`. Redirects are not followed: the token would be sent to another address."""

    def __init__(self, profile: ServerProfile) -> None:
        try:
            import httpx2
        except ModuleNotFoundError as error:
            raise OrchestratorError("N139", f"{error.name} is not installed") from error
        self._library = httpx2
        self._url, self._token = profile.url, profile.token
        encrypted = profile.url.startswith("https:")
        self._client = httpx2.Client(
            base_url=profile.url,
            headers={
                "Content-Type": "application/json",
                "User-Agent": f"orchestrator/{__version__}",
                **tracing.headers(),
            },
            verify=_trusted(profile.ca_cert) if profile.ca_cert is not None else True,
            timeout=httpx2.Timeout(PATIENCE_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=encrypted,  # a proxy of the environment is not for loopback
        )

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._url

    def post(self, path: str, body: bytes, key: str | None) -> ServerReply:
        """The response to a POST, repeated while the server cannot be reached or is busy. Raises N-codes."""
        headers = {**self._authorization(), **({"Idempotency-Key": key} if key is not None else {})}
        return self._sent(lambda: self._client.post(path, content=body, headers=headers))

    def post_without_token(self, path: str, body: bytes) -> ServerReply:
        """The response to a POST that needs no token, repeated likewise."""
        return self._sent(lambda: self._client.post(path, content=body))

    def get(self, path: str) -> ServerReply:
        """The response to a GET, repeated likewise."""
        headers = self._authorization()
        return self._sent(lambda: self._client.get(path, headers=headers))

    def put(self, path: str, data: bytes, place: str) -> ServerReply:
        """The response to a PUT of a part, repeated likewise."""
        place_headers = {"Content-Range": place, "Content-Type": "application/octet-stream"}
        headers = {**self._authorization(), **place_headers}
        return self._sent(lambda: self._client.put(path, content=data, headers=headers))

    def _authorization(self) -> dict[str, str]:
        """The header with the token. Raises N134 without one."""
        if not self._token:
            raise OrchestratorError(
                "N134", f"this machine has no token for {self._url}", hint=f"orchestrator login {self._url}"
            )
        return {"Authorization": f"Bearer {self._token}"}

    def _sent(self, send: Callable[[], Any]) -> ServerReply:
        """The response to what *send* sends, repeated while the server cannot be reached or is busy."""
        for pause in PAUSES_S:
            try:
                response = send()
            except self._library.TransportError as error:
                _refuse_certificate(self._url, error)
                time.sleep(pause)
                continue
            if response.status_code not in BUSY:
                return self._reply(response)
            time.sleep(_pause(response.headers.get("retry-after"), pause))
        try:
            return self._reply(send())
        except self._library.TransportError as error:
            _refuse_certificate(self._url, error)
            raise OrchestratorError("N132", f"{self._url}: {_reason(error)}") from error

    def events(self, path: str, cursor: str | None) -> Iterator[str]:
        """The ids of the events at *path* after *cursor*, until the stream ends. Raises N132 and N137."""
        headers = {**self._authorization(), "Accept": "text/event-stream"}
        headers |= {"Last-Event-ID": cursor} if cursor is not None else {}
        timeout = self._library.Timeout(SILENCE_S, connect=CONNECT_S)
        try:
            with self._client.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.status_code != OK:
                    raise OrchestratorError("N137", f"{self._url} has no stream: status {response.status_code}")
                for line in response.iter_lines():
                    if line.startswith("id: "):
                        yield line.removeprefix("id: ")
        except self._library.TransportError as error:
            raise OrchestratorError("N132", f"{self._url}: {_reason(error)}") from error

    def _reply(self, response: Any) -> ServerReply:
        if response.status_code in REDIRECTS:
            target = str(response.headers.get("location", "another address"))[:200]
            raise OrchestratorError("N137", f"{self._url} redirects to {target}, which is not followed with a token")
        media = str(response.headers.get("content-type", "")).partition(";")[0].strip()
        offset, complete = response.headers.get("upload-offset", ""), response.headers.get("upload-complete")
        place = int(offset) if offset.isdigit() else 0
        return ServerReply(int(response.status_code), media, response.content, place, complete == "?1")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _trusted(file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        raise OrchestratorError("N135", f"the certificates in {file} cannot be used: {error}") from error


def _refuse_certificate(url: str, error: Exception) -> None:
    """Raise N135 if *error* is about the certificate of the server."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            raise OrchestratorError("N135", f"{url}: {found.verify_message}") from error
        found = found.__cause__ or found.__context__


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _pause(given: str | None, pause: float) -> float:
    seconds = float(given) if given is not None and given.isdigit() else pause
    return min(max(seconds, pause), LONGEST_PAUSE_S)
