"""Suites as their authors write them, on real hosts: what passes as proof, and what does not."""

from pathlib import Path

import pytest
import yaml

from orchestrator.domain.environment import IsolationRule
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.hosts import loopback
from orchestrator.processes import tagged
from tests.adapters.testinfra.conftest import Room, code, of_hosts, told
from tests.shared_hosts import state_in

MOLECULE = """
    import os

    import testinfra.utils.ansible_runner

    testinfra_hosts = testinfra.utils.ansible_runner.AnsibleRunner(
        os.environ["MOLECULE_INVENTORY_FILE"]
    ).get_hosts("all")

    def test_molecule(host):
        assert host.file("/").is_directory
        assert host.ansible.get_variables()["inventory_hostname"]
"""

MARKED = """
    @pytest.mark.skip(reason="not today")
    def test_skipped(host):
        assert False

    @pytest.mark.xfail(reason="known")
    def test_expected(host):
        assert False
"""

OUTCOMES = """
    import pytest

    testinfra_hosts = ["ansible://web1"]

    @pytest.fixture
    def broken():
        raise RuntimeError("no such thing")

    @pytest.fixture
    def leaky():
        yield
        raise RuntimeError("cannot be put away")

    def test_passes(host):
        assert host.check_output("echo out; echo err >&2") == "out"

    def test_fails(host):
        assert host.run("exit 3").rc == 0, "it said three"

    @pytest.mark.parametrize("word", ["a b", "$HOME"])
    def test_words(host, word):
        assert host.check_output("printf %s", word) == word

    def test_fixture(host, broken):
        pass

    def test_teardown(host, leaky):
        pass
"""

DB = """
    testinfra_hosts = ["ansible://db"]

    def test_db(host):
        assert host.run("true").rc == 0
"""

WEB = DB.replace("ansible://db", "ansible://web").replace("test_db", "test_web")


def _by_ssh(room: Room, name: str) -> str:
    """A suite that knows a host through an ssh configuration of its own."""
    host = next(host for host in room.hosts if host.name == name)
    about = host.variables()
    config = room.folder / "ssh_config"
    room.isolation = IsolationRule(read=(str(config), *map(str, (about["ansible_ssh_private_key_file"], host.folder))))
    config.write_text(
        f"Host {name}\n  HostName {host.address}\n  Port {host.port}\n  User {host.user}\n"
        f"  IdentityFile {about['ansible_ssh_private_key_file']}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {host.folder}/known_hosts\n"
    )
    return f"""
        testinfra_hosts = ["ssh://{name}?ssh_config={config}", "local://"]

        def test_by_ssh(host):
            assert host.file("/").is_directory
    """


def test_results_are_the_same_with_and_without_lasting_connections(room: Room) -> None:
    """A Molecule header, `ansible://`, `ssh://` and `local://` hosts, and every outcome, come out the same both ways."""
    files = {"test_molecule.py": MOLECULE, "test_outcomes.py": OUTCOMES + MARKED, "test_ssh.py": _by_ssh(room, "web2")}
    lasting, ordinary = (room.verify(files, persistent=persistent) for persistent in (True, False))
    assert told(lasting) == told(ordinary)
    assert told(lasting) == {
        **{("test_molecule", host): "succeeded" for host in ("web1", "web2", "db1")},
        ("test_passes", "web1"): "succeeded",
        ("test_fails", "web1"): "failed",
        ("test_words[a b]", "web1"): "succeeded",
        ("test_words[$HOME]", "web1"): "succeeded",
        ("test_skipped", "web1"): "skipped",
        ("test_expected", "web1"): "skipped",
        ("test_fixture", "web1"): "errored",
        ("test_teardown", "web1"): "errored",
        ("test_by_ssh", "web2"): "succeeded",
        ("test_by_ssh", "local"): "succeeded",
    }
    assert of_hosts(lasting) == of_hosts(ordinary) == {"web1": "errored", "web2": "succeeded", "db1": "succeeded"}
    failed = next(test for test in lasting.tests if test.outcome == "failed")
    assert "it said three" in failed.message
    assert failed.where.startswith("tests/test_outcomes.py:")
    assert (lasting.outcome, code(lasting)) == ("errored", "V107")


def test_skipped_and_expected_failures_do_not_hide_what_passed(room: Room) -> None:
    """A suite with a passed test, and no bad one, succeeds, and tells how many did not have to pass."""
    text = OUTCOMES.partition("    def test_fails")[0] + MARKED
    result = room.verify({"test_outcomes.py": text})
    assert (result.outcome, result.message) == ("succeeded", "1 test passed, 1 skipped, 1 failed as expected")
    assert of_hosts(result)["web1"] == "succeeded"


def test_a_failed_test_is_told_as_the_releases_fault(room: Room) -> None:
    """A failing assertion makes the suite *failed*, with the test, the host and the assertion in its sentence."""
    result = room.verify({"test_web.py": WEB.replace('"true"', '"false"')}, "web1")
    assert (result.outcome, code(result)) == ("failed", "V101")
    assert result.message.startswith("test_web on web1: ")
    assert told(result) == {("test_web", "web1"): "failed"}


def test_a_suite_about_other_hosts_is_skipped_in_a_batch(room: Room) -> None:
    """Where a batch is none of a suite's hosts it is skipped and says so, however it names them; elsewhere it proves."""
    for text in (
        DB,
        MOLECULE.replace('get_hosts("all")', 'get_hosts("db")'),
        _by_ssh(room, "db1").replace(', "local://"', ""),
    ):
        result = room.verify({"test_it.py": text}, "web1", "web2")
        assert (result.outcome, code(result)) == ("skipped", None)
        assert "only for others" in result.message
        assert of_hosts(result) == {"web1": "skipped", "web2": "skipped"}
        assert {test.host for test in result.tests} <= {""}
    assert room.verify({"test_it.py": DB}, "db1").good
    assert of_hosts(room.verify({"test_it.py": DB})) == {"web1": "skipped", "web2": "skipped", "db1": "succeeded"}


def test_a_suite_is_proved_by_its_part_about_these_hosts(room: Room) -> None:
    """A suite with tests for a batch and for others proves the batch by the first, and reports no host for the others."""
    result = room.verify({"test_db.py": DB, "test_web.py": WEB}, "web1")
    assert (result.outcome, result.message) == ("succeeded", "1 test passed, 1 skipped")
    assert {test.host for test in result.tests} == {"web1", ""}


@pytest.mark.parametrize("limit", [(), ("web1",)])
def test_a_suite_that_proves_nothing_does_not_pass(room: Room, limit: tuple[str, ...]) -> None:
    """No test for any host, in a batch or in the environment, and nothing but skipped tests, is no proof."""
    nobody = room.verify({"test_it.py": DB.replace("//db", "//nobody")}, *limit)
    assert (nobody.outcome, code(nobody)) == ("failed", "V102")
    skipped = "import pytest\n\n\n@pytest.mark.skip\ndef test_nothing():\n    pass\n"
    nothing = room.verify({"test_it.py": skipped, "test_db.py": DB} if limit else {"test_it.py": skipped}, *limit)
    assert (nothing.outcome, code(nothing)) == ("failed", "V102")


def test_a_file_that_cannot_be_collected_is_named(room: Room) -> None:
    """A mistake in a test file makes the suite errored, with the file and the mistake in its sentence."""
    result = room.verify({"test_bad.py": "import no_such_module\n", "test_web.py": WEB})
    assert (result.outcome, code(result)) == ("errored", "V106")
    assert "tests/test_bad.py" in result.message
    assert "no_such_module" in result.message
    assert [entry.kind for entry in room.entries] == ["notice"]


@pytest.mark.parametrize("how", ["os._exit(0)", "pytest.exit('enough', returncode=0)"])
def test_leaving_early_does_not_pass(room: Room, how: str) -> None:
    """A pytest that ends well before its tests have is errored, though one has passed."""
    text = f"import os, pytest\n\ndef test_a():\n    pass\n\ndef test_b():\n    {how}\n\ndef test_c():\n    pass\n"
    result = room.verify({"test_it.py": text})
    assert result.outcome == "errored"
    assert code(result) in {"V105", "V107"}
    assert told(result)["test_a", ""] == "succeeded"


def test_workers_of_pytest_are_honoured(room: Room) -> None:
    """With `-n 2` results are the same, and a worker that leaves early makes its test errored."""
    result = room.verify({"test_molecule.py": MOLECULE}, args=("-n", "2"))
    assert (result.outcome, result.message) == ("succeeded", "3 tests passed")
    assert of_hosts(result) == dict.fromkeys(("web1", "web2", "db1"), "succeeded")
    left = room.verify({"test_it.py": "import os\n\ndef test_a():\n    os._exit(0)\n" + "\ndef test_b():\n    pass\n"},
                       args=("-n", "2"))  # fmt: skip
    assert (left.outcome, code(left)) == ("errored", "V107")
    assert "crashed" in left.message


def test_a_suite_that_hangs_is_ended_with_all_it_started(room: Room) -> None:
    """At its time limit a suite is errored, what had ended counts, and no process of it is left."""
    text = """
        import subprocess, time

        def test_a():
            pass

        def test_b():
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            time.sleep(300)
    """
    result = room.verify({"test_it.py": text}, timeout=10.0)
    assert (result.outcome, code(result)) == ("errored", "V104")
    assert told(result) == {("test_a", ""): "succeeded"}
    assert not tagged(f"ORCHESTRATOR_JOB={room.jobs.folder(room.job)}")


def test_a_host_that_is_gone_is_unknown(room: Room) -> None:
    """Nobody could look at a host that does not answer: it is unknown and not failed, and the others are proved."""
    room.gone("web2")
    result = room.verify({"test_web.py": WEB})
    assert (result.outcome, code(result)) == ("unknown", "V103")
    assert "cannot be reached: web2" in result.message
    assert told(result) == {("test_web", "web1"): "succeeded"}
    assert of_hosts(result)["web2"] == "unknown"
    assert room.verify({"test_web.py": WEB}, "web2").outcome == "unknown"
    nothing = room.verify({"test_db.py": DB}, "web1", "web2")
    assert (nothing.outcome, code(nothing), nothing.message) == ("unknown", "V103", "cannot be reached: web2")


@pytest.mark.parametrize("persistent", [True, False])
def test_a_gone_host_of_the_users_own_inventory_is_unknown(room: Room, persistent: bool) -> None:
    """Also where only the user's inventory files know the way to a host, one that does not answer is unknown."""
    room.gone("web2")
    file = room.folder / "own" / "hosts.yml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump({"web": {"hosts": {name: room.inventory.hosts[name] for name in ("web1", "web2")}}}))
    room.inventory = Inventory(files=(str(file),))
    result = room.verify({"test_web.py": WEB}, persistent=persistent)
    assert told(result) == {("test_web", "web1"): "succeeded"}
    assert of_hosts(result) == {"web1": "succeeded", "web2": "unknown"}
    assert (result.outcome, code(result)) == ("unknown", "V103")


def test_a_host_that_dies_in_the_middle_is_unknown(room: Room) -> None:
    """Results come while the suite runs, and a host that dies after its first test is unknown from then on."""
    flag = room.folder / "flags/ended"
    flag.parent.mkdir()
    room.isolation = IsolationRule(read=(str(flag.parent),))
    text = f"""
        import pathlib, time

        testinfra_hosts = ["ansible://web2"]

        def test_a(host):
            assert host.run("true").rc == 0

        def test_b(host):
            while not pathlib.Path({str(flag)!r}).exists():
                time.sleep(0.02)
            assert host.run("true").rc == 0
    """
    dying = room.hosts[1]

    def end_it(entry: Entry) -> None:
        if entry.kind == "test" and not flag.exists():
            loopback.end_processes(dying)
            flag.touch()

    try:
        result = room.verify({"test_it.py": text}, emit=end_it)
    finally:
        with state_in(Path(dying.folder).parents[2]):
            loopback.start("rooms", dying.name)
    assert told(result) == {("test_a", "web2"): "succeeded", ("test_b", "web2"): "unknown"}
    assert (result.outcome, code(result)) == ("unknown", "V103")
