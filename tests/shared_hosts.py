"""Loopback hosts that many tests share: started once, gone at the end, and no setting left behind for other tests."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.hosts import loopback


@contextlib.contextmanager
def state_in(folder: Path) -> Iterator[None]:
    """Loopback hosts live below *folder* for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as setting:
        setting.setenv("ORCHESTRATOR_STATE", str(folder))
        yield


@contextlib.contextmanager
def hosts_in(folder: Path, stack: str, *names: str) -> Iterator[list[loopback.Host]]:
    """Running hosts, gone at the end of the block."""
    try:
        with state_in(folder):
            made = [loopback.start(stack, name) for name in names]
        yield made
    finally:
        with state_in(folder):
            for host in loopback.recorded(folder):
                loopback.remove_host(host)
