"""The server process: one address for one project or several, until it is stopped."""

import asyncio
import gc
import ipaddress
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

from orchestrator.app.opening import ServerOptions
from orchestrator.app.request_duties import Shows
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.project_addresses import PROJECTS
from orchestrator.management.projects.served import ServedProject
from orchestrator.web.connections import protocol_for, raise_file_limit
from orchestrator.web.locked_assets import asset_faults
from orchestrator.web.own_worker import own_worker, worker_command
from orchestrator.web.protection import LARGEST_HEADERS
from orchestrator.web.server import LOOPBACK, server_of, server_of_several
from orchestrator.web.stopping import StoppableServer, Stopping

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.management.application import ManagedApplication

STOP_S = 10
SWITCH_S = 0.0005
"""After how long a thread that computes lets another one continue. A request changes its thread some five times."""
THREADS = 20
"""How many requests are handled at the same time. They share one interpreter, so that more threads make each of them
slower, and each thread takes about a megabyte with its connections to SQLite."""
HEAPS = 2
"""How many heaps of the C library the threads share. Usual are up to eight for each processor. Each keeps what its
threads have freed, so that the memory of a server grew for several minutes."""
MOST_HEAPS = -8  # M_ARENA_MAX of malloc.h
IDLE_S = 30
CHECK_CERTIFICATE_S = 30.0


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to *host*."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_options(options: ServerOptions) -> None:
    """Return if the server may accept connections by *options*. Raises N102, N103 and N105."""
    if (options.certificate is None) is not (options.key is None):
        raise OrchestratorError("N105", "a certificate and its key belong together")
    if not (is_loopback(options.host) or options.certificate is not None or options.behind_proxy):
        raise OrchestratorError("N103", f"{options.host} is not an address of this machine alone")
    faults = asset_faults()
    if faults:
        raise OrchestratorError("N102", f"orchestrator/web/assets: {faults[0]}")
    if options.certificate is not None and options.key is not None:
        load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), options.certificate, options.key)


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Use *certificate* with *key* for new connections. Raises N105."""
    try:
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise OrchestratorError("N105", f"{certificate}, {key}: {error}") from error


def bound_socket(options: ServerOptions) -> socket.socket:
    """A socket at the address. Raises N104."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # by its number asyncio sets TCP_NODELAY
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((options.host, options.port))
    except OSError as error:
        made.close()
        raise OrchestratorError("N104", f"{options.host}:{options.port}: {error.strerror or error}") from error
    return made


def limit_heaps(most: int = HEAPS) -> bool:
    """Let the threads that start from now on share *most* heaps. Whether the C library has such a limit: glibc has."""
    import ctypes  # here, since only a server needs it

    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    return limit is not None and bool(limit(MOST_HEAPS, most))


def run_server(applications: Sequence["Application"], options: ServerOptions, shows: Shows) -> None:
    """Serve *applications* until a signal stops it; users sign in at the first one. Raises N102 to N105, and N150."""
    limit_heaps()
    check_options(options)
    applications[0].single_sign_on.check()
    server, stopping = _server(applications, shows, LOOPBACK | {options.host, *options.names})
    config = uvicorn.Config(
        server,
        log_level="warning",
        log_config=None if options.log_json else LOGGING_CONFIG,
        server_header=False,
        proxy_headers=options.behind_proxy,
        forwarded_allow_ips=[*options.proxies],
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        timeout_graceful_shutdown=STOP_S,
        timeout_keep_alive=IDLE_S,
        http=protocol_for(
            raise_file_limit(), options.connections_per_address, options.proxies if options.behind_proxy else ()
        ),
        ws="none",
        h11_max_incomplete_event_size=LARGEST_HEADERS,
    )
    config.load()
    with ExitStack() as stack:
        accepting = stack.enter_context(bound_socket(options))
        if options.worker:
            for application in applications:
                stack.enter_context(own_worker(application.home, application.environ, worker_command(options)))
        sys.setswitchinterval(SWITCH_S)
        gc.collect()
        gc.freeze()  # a full collection visited every class and schema: 100 ms, now and then, in some request
        asyncio.run(_serve(config, accepting, options, stopping))


def _server(applications: Sequence["Application"], shows: Shows, hosts: frozenset[str]) -> tuple[ASGIApp, Stopping]:
    """The server of the only application, or of several, each at its path; with its end."""
    if len(applications) == 1:
        server = server_of(applications[0], shows, hosts)
        return server, server.state.stopping
    managed = [cast("ManagedApplication", each) for each in applications]
    return server_of_several([ServedProject(each, f"{PROJECTS}{each.project.name}") for each in managed], shows, hosts)


async def _serve(config: uvicorn.Config, accepting: socket.socket, options: ServerOptions, stopping: Stopping) -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    renewing = asyncio.create_task(_renew(config, options))
    await StoppableServer(config, stopping, options.drain_s).serve(sockets=[accepting])
    renewing.cancel()


async def _renew(config: uvicorn.Config, options: ServerOptions) -> None:
    """Load the certificate again when its file has changed. A faulty one is left, and the earlier one stays in use."""
    if options.certificate is None or options.key is None:
        return
    loaded = _changed_at(options.certificate, options.key)
    while True:
        await asyncio.sleep(CHECK_CERTIFICATE_S)
        found = _changed_at(options.certificate, options.key)
        if found not in {loaded, None} and config.ssl is not None:
            try:
                load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), options.certificate, options.key)
                load_certificate(config.ssl, options.certificate, options.key)
            except OrchestratorError:
                continue
            loaded = found


def _changed_at(*files: Path) -> tuple[int, ...] | None:
    try:
        return tuple(file.stat().st_mtime_ns for file in files)
    except OSError:
        return None
