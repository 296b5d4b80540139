"""Gates and probes connect to services, and not to what gives credentials to everyone on a machine."""

import contextlib
import ipaddress
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.adapters.gates import addresses, probe_child
from orchestrator.adapters.gates.addresses import AddressRefusedError, connected, is_refused
from orchestrator.adapters.gates.probe_child import Target
from orchestrator.adapters.gates.web import fetch_url
from tests.web import serving

REFUSED = [
    "169.254.169.254", "169.254.0.1", "169.254.170.2", "fe80::1", "fe80::1%lo", "::ffff:169.254.169.254", "fd00:ec2::254",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "ff02::1",
    "0.0.0.0", "::",
]  # fmt: skip
ALLOWED = [
    "127.0.0.1",
    "::1",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "8.8.8.8",
    "fd00::1",
    "2001:db8::1",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_of_metadata_is_refused(address: str) -> None:
    """In each of its forms: link-local, mapped into IPv6, and the places where clouds serve metadata."""
    assert is_refused(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_an_address_of_a_service_is_allowed(address: str) -> None:
    """Loopback and private addresses are where services are."""
    assert not is_refused(address)


@given(st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_no_form_of_a_link_local_address_gets_through(address: ipaddress.IPv4Address) -> None:
    """As IPv4, mapped into IPv6, by 6to4 and by NAT64."""
    number = int(address)
    forms = [number | 0xFFFF << 32, 0x2002 << 112 | number << 80, int(ipaddress.IPv6Address("64:ff9b::")) | number]
    assert all(is_refused(form) for form in [str(address), *(str(ipaddress.IPv6Address(form)) for form in forms)])


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data", "https://[fe80::1]/", "http://[::ffff:a9fe:a9fe]/"]
)
def test_a_gate_does_not_request_it(url: str) -> None:
    """The gate is unknown at once, and says why; nothing was sent."""
    began = time.monotonic()
    answer = fetch_url(url, 5)
    assert (answer.is_reachable, "no gate or probe connects" in answer.trouble) == (False, True)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_checked_again(status: int) -> None:
    """A service cannot lead a gate there, nor show it what would be there."""
    with serving() as server:
        server.answers["/"] = (status, "http://169.254.169.254/latest/meta-data")
        answer = fetch_url(f"{server.url}/", 5)
    assert (answer.is_reachable, answer.text, "169.254.169.254" in answer.trouble) == (False, "", True)


def test_a_redirect_to_a_service_is_followed() -> None:
    """As before, and without the credentials of the first request."""
    with serving() as server:
        server.answers |= {"/": (302, f"{server.url}/other"), "/other": (200, "here")}
        assert fetch_url(f"{server.url}/", 5, authorization="Bearer x").text == "here"
    assert server.shown == ["Bearer x", ""]


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere when it is resolved again has no effect: the address that was checked is used."""
    asked = []
    real = socket.getaddrinfo

    def resolved(host: str, port: int, **more: int) -> list[object]:
        asked.append(host)
        return list(real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", port, **more))

    with serving() as server:
        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        server.answers["/"] = (200, "here")
        assert fetch_url(f"http://service.test:{server.port}/", 5).text == "here"
    assert asked == ["service.test"]


def test_a_name_with_a_refused_address_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has a good address as well is not the name of a service."""
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, 80)) for name in ("127.0.0.1", "169.254.169.254")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(AddressRefusedError, match=r"169\.254\.169\.254"):
        connected("service.test", 80, 1)


def test_the_next_address_is_tried() -> None:
    """A service that listens on one of the addresses of its name is reached."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patched:
        port = server.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, port)) for name in ("127.0.0.2", "127.0.0.1")]
        patched.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        connected("service.test", port, 5).close()


def test_a_probe_does_not_connect_there() -> None:
    """A target of such an address is down, and no packet is sent to it."""
    began = time.monotonic()
    assert not Target("x", "http://169.254.169.254/").answers(5)
    assert time.monotonic() - began < 2
    with serving() as server:
        server.answers["/"] = (200, "")
        assert Target("x", f"{server.url}/").answers(5)


def test_the_probe_starts_without_a_package(tmp_path: Path) -> None:
    """It is run by its path, isolated, and finds the module beside it."""
    assert Path(probe_child.__file__).with_name("addresses.py") == Path(addresses.__file__)
    words = [sys.executable, "-I", "-S", probe_child.__file__]
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            words, env={"ORCHESTRATOR_JOB": str(tmp_path)}, capture_output=True, text=True, timeout=20, check=False
        )
        assert "targets.json" in done.stderr
