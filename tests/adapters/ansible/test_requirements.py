"""Requirements of a release, measured on hosts over real SSH."""

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestrator.domain.requirements.check import Check, CheckedHost
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.domain.step_payloads import RequirementsChecked
from orchestrator.hosts import loopback
from tests.adapters.ansible.conftest import FILES, Stage, staged


def certificate(folder: Path, days: int) -> Path:
    """A file with a certificate that is valid for *days* days and an hour more, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"certificate-{days}.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/down" else 401)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def stage(servers: tuple[Path, list[loopback.Host]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two hosts with a package."""
    with staged(servers[1][:2], tmp_path_factory.mktemp("requirements") / "project", FILES) as found:
        yield found


def serving(certificate_file: Path | None = None) -> ThreadingHTTPServer:
    """A server on a free port of loopback, with TLS if it has a certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    if certificate_file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def inspected(stage: Stage, job: str, **wanted: object) -> StepResult:
    """The inspection of both hosts, of which the first has requirements."""
    first = next(iter(stage.inventory.hosts))
    requirement = Requirement.from_json({"hosts": first, **wanted})
    return stage.deployer.inspect((requirement,), stage.inventory, stage.context(job, 1), f"{job}.require", print)


def checks(result: StepResult) -> dict[str, Check]:
    (host,) = RequirementsChecked.read(result).requirements
    return {check.what: check for check in host.checks}


def test_every_kind_is_measured_on_the_host(stage: Stage, tmp_path: Path) -> None:
    """Processors, sizes, system, packages, ports, certificates, endpoints and facts are read from the host itself."""
    file = certificate(tmp_path, 90)
    plain, secured = serving(), serving(file)
    port, tls = plain.server_port, secured.server_port
    try:
        result = inspected(
            stage,
            "all",
            cpu=1,
            memory="1MiB",
            disk_free="1MiB",
            os=["plan9", "debian >= 10"],
            commands=["sh"],
            packages=["dpkg >= 1.18", "bash"],
            ports={"listening": [port]},
            certificates=[{"file": str(file), "days_left": 90}, {"address": f"127.0.0.1:{tls}", "days_left": 30}],
            endpoints=[f"tcp://127.0.0.1:{tls}", f"http://127.0.0.1:{port}/"],
            facts=[
                {"fact": "ansible_facts.system", "is": "Linux"},
                {"fact": "ansible_facts.memtotal_mb", "is": ">= 1"},
                {"fact": "ansible_facts.kernel is version('2.6', '>=')"},
                {"fact": "ansible_facts.mounts | default([], true) | length >= 0", "is": "true"},
            ],
        )
    finally:
        plain.shutdown()
        secured.shutdown()
    found = checks(result)
    assert {what: check.text for what, check in found.items() if check.state != "met"} == {}
    assert result.outcome is Outcome.SUCCEEDED
    assert len(found) == 16
    assert found[f"certificate {file}"].measured == "90 days left"
    assert found[f"endpoint http://127.0.0.1:{port}/"].measured == "reachable, status 401"
    assert found["fact ansible_facts.system"].measured == "Linux"


def test_what_is_not_met_names_both_values(stage: Stage, tmp_path: Path) -> None:
    """Each requirement that a host does not meet blocks with D106, and shows the measured and the required value."""
    file, busy, closed = certificate(tmp_path, 5), serving(), serving()
    gone = closed.server_port
    closed.server_close()
    try:
        result = inspected(
            stage,
            "none",
            cpu=4096,
            os=["plan9"],
            packages=["dpkg < 1.0", "no-such-package"],
            ports={"listening": [gone], "free": [busy.server_port]},
            certificates=[{"file": str(file), "days_left": 30}],
            endpoints=[f"tcp://127.0.0.1:{gone}", f"http://127.0.0.1:{busy.server_port}/down"],
            facts=[{"fact": "ansible_facts.system", "is": "Plan9"}],
        )
    finally:
        busy.shutdown()
        closed.shutdown()
    found = checks(result)
    assert (result.outcome, result.code) == (Outcome.FAILED, "D106")
    assert {check.state for check in found.values()} == {"not met"}
    assert found[f"certificate {file}"].text == f"certificate {file} is 5 days left, required is >= 30 days left"
    assert found["package no-such-package"].measured == "not installed"
    assert found["fact ansible_facts.system"].text == "fact ansible_facts.system is Linux, required is Plan9"
    assert found[f"port {busy.server_port} free"].measured == "listening"
    assert "status 503" in found[f"endpoint http://127.0.0.1:{busy.server_port}/down"].measured


def test_what_cannot_be_measured_is_unknown_and_blocks(stage: Stage) -> None:
    """A file that does not exist, a fact that is not defined and a value that cannot be compared are unknown."""
    result = inspected(
        stage,
        "unknown",
        certificates=[{"file": "/no/such/file.pem"}],
        facts=[
            {"fact": "ansible_facts.no_such_fact"},
            {"fact": "ansible_facts.cmdline", "is": ">= 1"},
            {"fact": "ansible_facts.("},
        ],
    )
    found = checks(result)
    assert (result.outcome, result.code) == (Outcome.FAILED, "D106")
    assert {check.state for check in found.values()} == {"unknown"}
    assert "No such file" in found["certificate /no/such/file.pem"].reason
    assert "no_such_fact" in found["fact ansible_facts.no_such_fact"].reason
    assert all(check.reason for check in found.values())


def test_a_host_without_python_is_unknown(stage: Stage) -> None:
    """A host without Python meets what a shell measures; what the module measures is unknown, with its reason."""
    hosts = dict(stage.inventory.hosts)
    first = next(iter(hosts))
    hosts[first] = {**hosts[first], "ansible_python_interpreter": "/no/such/python3"}
    inventory = stage.inventory.model_copy(update={"hosts": hosts})
    requirement = Requirement.from_json({"hosts": first, "cpu": 1, "packages": ["dpkg"]})
    result = stage.deployer.inspect((requirement,), inventory, stage.context("bare", 1), "bare.require", print)
    found = checks(result)
    assert (found["cpu"].state, found["package dpkg"].state) == ("met", "unknown")
    assert "python" in found["package dpkg"].reason
    assert result.outcome is Outcome.FAILED


def test_a_host_that_cannot_be_reached_is_unknown(stage: Stage) -> None:
    """Every requirement of a host that does not respond is unknown, and the host blocks with D107."""
    hosts = dict(stage.inventory.hosts)
    first = next(iter(hosts))
    hosts[first] = {**hosts[first], "ansible_port": 1}
    inventory = stage.inventory.model_copy(update={"hosts": hosts})
    requirement = Requirement.from_json({"hosts": first, "cpu": 1, "ports": {"listening": [22]}})
    result = stage.deployer.inspect((requirement,), inventory, stage.context("away", 1), "away.require", print)
    (host,) = RequirementsChecked.read(result).requirements
    assert isinstance(host, CheckedHost)
    assert [check.state for check in host.checks] == ["unknown", "unknown"]
    assert (result.outcome, result.code) == (Outcome.UNKNOWN, "D107")
