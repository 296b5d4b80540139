"""Requirements: versions as package managers order them, comparisons, and the checks of hosts that are not trusted."""

import json
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.domain.host_answer import read_answer
from orchestrator.domain.requirements.check import Check, checked, unchecked
from orchestrator.domain.requirements.comparisons import OPERATORS, has_version, holds
from orchestrator.domain.requirements.measured import Measured, read_measured
from orchestrator.domain.requirements.model import Requirement
from orchestrator.domain.requirements.versions import debian_order, named_part, rpm_order

UPSTREAM = st.from_regex(r"[0-9][0-9A-Za-z.+~]{0,7}", fullmatch=True)
VERSIONS = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "0:", "1:", "12:"]),
    UPSTREAM,
    st.sampled_from(["", "-0", "-1", "-1~rc1", "-10", "-1+b2"]),
)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="Debian's own comparison needs dpkg")
def test_versions_are_ordered_as_dpkg_orders_them() -> None:
    """For 150 pairs of versions, the order is the one that `dpkg --compare-versions` decides."""
    pairs: list[tuple[str, str]] = []

    @settings(max_examples=146)
    @given(st.tuples(VERSIONS, VERSIONS))
    def collect(pair: tuple[str, str]) -> None:
        pairs.append(pair)

    collect()
    pairs = [*pairs[:146], ("1.0~rc1", "1.0"), ("1.0", "1.0-0"), ("1:0.9", "2.0"), ("1.0+b1", "1.0a")]
    lines = [f'dpkg --compare-versions "{a}" lt "{b}" && echo -1 || {{ dpkg --compare-versions "{a}" eq "{b}" && echo 0 || echo 1; }}' for a, b in pairs]  # fmt: skip
    said = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout.split()
    found = [str(debian_order(a, b)) for a, b in pairs]
    assert [(pair, ours, theirs) for pair, ours, theirs in zip(pairs, found, said, strict=True) if ours != theirs] == []


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("1.0", "1.0", 0), ("1.0", "2.0", -1), ("2.0.1", "2.0", 1), ("2.0.1a", "2.0.1", 1), ("5.5p1", "5.5p10", -1),
        ("10xyz", "10.1xyz", -1), ("xyz10", "xyz10.1", -1), ("xyz.4", "8", -1), ("5.5p2", "5.6p1", -1),
        ("6.0.rc1", "6.0", 1), ("1.0~rc1", "1.0", -1), ("1.0~rc1~git123", "1.0~rc1", -1), ("1.0^", "1.0", 1),
        ("1.0^git1", "1.01", -1), ("1.0^git1~pre", "1.0^git1", -1), ("10.0001", "10.1", 0), ("1:1.0", "2.0", 1),
        ("1.0-2", "1.0-10", -1), ("4.999.9", "5.0", -1), ("20101121", "20101122", -1), ("2_0", "2.0", 0),
    ],
)  # fmt: skip
def test_versions_are_ordered_as_rpm_orders_them(left: str, right: str, order: int) -> None:
    """The examples of RPM's own test suite (`rpmvercmp.at`) have the order that it states, in both directions."""
    assert (rpm_order(left, right), rpm_order(right, left)) == (order, -order)


@given(VERSIONS, VERSIONS, VERSIONS)
@example("1.0", "1.0~", "1.0-1")
def test_an_order_is_one(a: str, b: str, c: str) -> None:
    """Both orders are antisymmetric and transitive, and each version is the same as itself."""
    for order in (debian_order, rpm_order):
        assert order(a, a) == 0
        assert order(a, b) == -order(b, a)
        if order(a, b) >= 0 and order(b, c) >= 0:
            assert order(a, c) >= 0


@given(VERSIONS, VERSIONS)
def test_operators_agree_with_each_other(installed: str, wanted: str) -> None:
    """Exactly one of <, == and > holds, and the other operators follow from these."""
    found = {operator: has_version(f"{operator} {wanted}", installed) for operator in OPERATORS}
    assert [found["<"], found["=="], found[">"]].count(True) == 1
    assert found["<="] == (found["<"] or found["=="])
    assert found[">="] == (found[">"] or found["=="])
    assert found["!="] is not found["=="]
    assert has_version("", installed)


def test_a_revision_that_is_not_named_does_not_count() -> None:
    """`== 3.0.11` allows every revision and epoch of that version, and a named one counts."""
    assert named_part("1:3.0.11-1~deb12u2", "3.0.11") == "3.0.11"
    assert has_version("== 3.0.11", "1:3.0.11-1~deb12u2")
    assert not has_version("== 3.0.11-2", "3.0.11-1")
    assert has_version("<= 3.0.11", "3.0.11-5")
    assert has_version("< 1:1.0", "9.0")


NUMBERS = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 3))


@given(NUMBERS, st.integers(-(10**6), 10**6))
def test_numbers_are_compared_as_numbers(value: float, wanted: int) -> None:
    """A measured number is compared by its value, with each operator."""
    found = [holds(f"{operator} {wanted}", value) for operator in (">=", "<=", "==", "!=", ">", "<")]
    assert found == [value >= wanted, value <= wanted, value == wanted, value != wanted, value > wanted, value < wanted]


@pytest.mark.parametrize(
    ("comparison", "value", "met"),
    [
        ("true", True, True), ("True", True, True), ("false", True, False), ("!= true", True, False), (">= 1", True, None),
        ("enforcing", "enforcing", True), ("'enforcing'", "enforcing", True), ("!= off", "on", True),
        (">= 6.1", "6.1.0-18-amd64", True), ("> 22.9", "22.10", True), ("4", 4, True), (">= many", 4, None),
        ("true", None, None), ("x", ["x"], None), ("x", {"x": 1}, None), ("4", "4", True),
    ],
)  # fmt: skip
def test_values_are_compared_by_their_kind(comparison: str, value: object, met: bool | None) -> None:
    """Truth, numbers and texts have comparisons of their own, and what cannot be compared is unknown."""
    assert holds(comparison, value) is met


EVERYTHING = Requirement.from_json(
    {
        "cpu": 2,
        "memory": "1GiB",
        "disk_free": "10MiB",
        "os": ["debian >= 12", "ubuntu >= 22.04"],
        "commands": ["sh"],
        "packages": ["openssl >= 3.0"],
        "ports": {"listening": [22], "free": [9090]},
        "certificates": [{"file": "/etc/shop.pem", "days_left": 30}],
        "endpoints": ["tcp://db:5432"],
        "facts": [{"fact": "ansible_facts.x", "is": ">= 3"}],
    }
)
MET = """
@cpu 4
@memory 2097152
@disk 20480
@os ubuntu 22.04
@command sh
@package {"name": "openssl", "manager": "dpkg", "versions": ["3.0.2-0ubuntu1"]}
@ports {"name": "tcp", "listening": [22, 80]}
@certificate {"name": "/etc/shop.pem", "seconds_left": 2592000}
@endpoint {"name": "tcp://db:5432", "is_reached": true}
@fact {"name": "ansible_facts.x", "value": 3}
"""


def found(text: str) -> dict[str, Check]:
    return {check.what: check for check in checked([EVERYTHING], read_measured(read_answer(text), text))}


def test_every_requirement_has_a_check() -> None:
    """A host that has everything meets each requirement, and each check has the measured and the required value."""
    checks = found(MET)
    assert {check.state for check in checks.values()} == {"met"}
    assert len(checks) == 11
    assert (checks["memory"].measured, checks["memory"].required) == ("2048MiB", ">= 1GiB")
    assert checks["certificate /etc/shop.pem"].measured == "30 days left"


@pytest.mark.parametrize(
    ("line", "instead", "what", "text"),
    [
        ("@cpu 4", "@cpu 1", "cpu", "cpu is 1, required is >= 2"),
        ("@memory 2097152", "@memory 1048575", "memory", "memory is 1023MiB, required is >= 1GiB"),
        ("ubuntu 22.04", "debian 11", "os", "os is debian 11, required is debian >= 12 or ubuntu >= 22.04"),
        ("@command sh", "", "command sh", "command sh is missing, required is present"),
        ('"3.0.2-0ubuntu1"', '"1.1.1w-0"', "package openssl", "package openssl is 1.1.1w-0, required is >= 3.0"),
        ("[22, 80]", "[22, 9090]", "port 9090 free", "port 9090 free is listening, required is free"),
        ("2592000", "2591999", "certificate /etc/shop.pem", "is 29 days left, required is >= 30 days left"),
        ("2592000", "-1", "certificate /etc/shop.pem", "is expired 1 days ago"),
        ('"is_reached": true', '"error": "refused"', "endpoint tcp://db:5432", "is not reachable: refused"),
        ('"value": 3', '"value": 2', "fact ansible_facts.x", "fact ansible_facts.x is 2, required is >= 3"),
        ('"value": 3', '"error": "no x"', "fact ansible_facts.x", "fact ansible_facts.x is unknown: no x"),
        ('"value": 3', '"value": [3]', "fact ansible_facts.x", "[3] cannot be compared with it"),
        ("@cpu 4", "@cpu many", "cpu", "cpu is unknown: the host did not report it"),
    ],
)
def test_one_difference_fails_one_check(line: str, instead: str, what: str, text: str) -> None:
    """Whatever one thing a host lacks, exactly that check is not met or unknown, and its text says why."""
    checks = found(MET.replace(line, instead))
    assert [name for name, check in checks.items() if check.state != "met"] == [what]
    assert text in checks[what].text


@given(st.text(max_size=300), st.sampled_from(["package", "ports", "certificate", "endpoint", "fact", "os", "cpu"]))
@example('{"name": "openssl", "versions": "3.0"}', "package")
@example('{"name": "tcp", "listening": [true]}', "ports")
def test_a_hostile_answer_is_unknown_and_never_an_error(text: str, word: str) -> None:
    """Whatever a host says in a line of its own, each requirement keeps its check, and reading raises nothing."""
    checks = checked([EVERYTHING], read_measured(read_answer(""), f"@{word} {text}"))
    assert len(checks) == 11
    for check in checks:
        assert Check.from_json(json.loads(json.dumps(check.to_json()))) == check


def test_a_host_that_was_not_measured_has_every_check_unknown() -> None:
    """Without an answer each requirement is unknown, for the one reason."""
    checks = unchecked([EVERYTHING], "no route to host")
    assert {(check.state, check.reason) for check in checks} == {("unknown", "no route to host")}
    assert [check.what for check in checks] == [check.what for check in checked([EVERYTHING], Measured())]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cpu", 0), ("cpu", "2"), ("os", ["Debian 12"]), ("packages", ["openssl>=3"]), ("packages", ["a b"]),
        ("ports", {"free": [0]}), ("ports", {"free": [70000]}), ("ports", {"open": [1]}), ("certificates", [{}]),
        ("certificates", [{"file": "/a", "address": "a:1"}]), ("certificates", [{"file": "a"}]),
        ("certificates", [{"address": "a"}]), ("endpoints", ["tcp://db"]), ("endpoints", ["ftp://db:1"]),
        ("endpoints", ["http://user@db/"]), ("facts", [{"fact": "{{ x }}"}]), ("facts", [{"fact": "x", "is": ""}]),
    ],
)  # fmt: skip
def test_a_requirement_that_is_not_valid_is_refused(field: str, value: object) -> None:
    """What could not be measured, or would mean something else to Ansible, is refused when the file is read."""
    with pytest.raises(ValidationError):
        Requirement.from_json({field: value})


def test_a_requirement_without_new_parts_is_written_as_before() -> None:
    """Packages of earlier versions keep their digests: parts that are not used are not written."""
    written = Requirement.from_json({"hosts": "web", "memory": "1MiB"}).to_json()
    assert written == {"hosts": "web", "disk_free": None, "memory": "1MiB", "commands": []}
