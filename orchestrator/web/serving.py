"""The server process: one application, one address, until it is stopped."""

import ipaddress
from typing import TYPE_CHECKING

import uvicorn

from orchestrator.domain.errors import OrchestratorError
from orchestrator.web.locked_assets import asset_faults
from orchestrator.web.server import LOOPBACK, server_of

if TYPE_CHECKING:
    from orchestrator.app.application import Application

STOP_S = 10
LARGEST_HEADERS = 32 * 1024


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to *host*."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run_server(application: "Application", host: str, port: int) -> None:
    """Serve *application* until a signal stops it. Raises N102 and N103."""
    if not is_loopback(host):
        raise OrchestratorError("N103", f"{host} is not an address of this machine alone")
    faults = asset_faults()
    if faults:
        raise OrchestratorError("N102", f"orchestrator/web/assets: {faults[0]}")
    uvicorn.run(
        server_of(application, LOOPBACK | {host}),
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=LARGEST_HEADERS,
    )
