"""What plays, suites and programs may leave in their folders and report, read by the adapters."""

import json
import os
from pathlib import Path

import pytest

from orchestrator import trees
from orchestrator.adapters.ansible import resolution
from orchestrator.adapters.ansible.controller_files import collect
from orchestrator.adapters.ansible.handlers import PendingHandlers
from orchestrator.adapters.ansible.kept_files import KeptFiles, Writer
from orchestrator.adapters.ansible.play import result_code
from orchestrator.adapters.ansible.tally import Tally as PlayTally
from orchestrator.adapters.pulumi import update_plan
from orchestrator.adapters.pulumi.answer import KILLED, operation_answer, resource_events
from orchestrator.adapters.pulumi.stack import unanswered
from orchestrator.adapters.testinfra.tally import Tally as SuiteTally
from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.domain.release import Release
from orchestrator.domain.step import Outcome
from orchestrator.ports import JobOutcome
from orchestrator.written_files import is_below, written_files
from tests.sealed import sealed
from tests.test_trees import deep

RELEASE = Release.from_json(
    {
        "apiVersion": "orchestrator/v1", "kind": "Release", "name": "app", "version": "1.0.0", "environments": ["staging"],
        "steps": [{"name": "deploy", "playbook": "site.yml", "hosts": "all"}],
        "verify": [{"name": "smoke", "tests": "tests"}],
    }
)  # fmt: skip


def context(controller_files: tuple[str, ...] = ()) -> Context:
    return Context(run="r1", environment="staging", controller_files=controller_files)


def hostile(copy: Path) -> None:
    """Put into *copy* what a play can make besides ordinary files."""
    deep(copy / "keys/deep", levels=100, name="d" * 20)
    os.mkfifo(copy / "keys/pipe")
    (copy / "keys/link").symlink_to("/etc/passwd")
    (copy / "keys/all").symlink_to("/")
    (copy / "keys" / ("n" * 255)).write_text("long")
    (copy / "keys" / os.fsdecode(b"\xff\x01\x1b[2J")).write_text("strange")
    (copy / "site.yml").unlink()
    os.mkfifo(copy / "site.yml")
    (copy / "keys/token").write_text("abc\n")
    (copy / "keys/token").chmod(0)


def test_what_a_play_leaves_is_listed_whatever_it_is(tmp_path: Path) -> None:
    """Names that no path could have are counted, and not listed; links, pipes and devices are listed and not kept."""
    content, folder = tmp_path / "package/content", tmp_path / "job"
    for place in (content, folder / "content/keys"):
        place.mkdir(parents=True)
    (content / "site.yml").write_text("[]")
    package = sealed(content, RELEASE)
    (folder / "job.json").write_text("{}")
    (folder / "content/site.yml").write_text("[]")
    hostile(folder / "content")
    kept = KeptFiles(tmp_path / "state", context())
    files = {item["path"]: item for item in collect(package, folder, kept)}
    more = files.pop("…")
    assert (more["more"], more["kept"]) == (1, False)
    assert {name for name, item in files.items() if item["kept"]} == {
        f"keys/{'n' * 255}", "keys/token", os.fsdecode(b"keys/\xff\x01\x1b[2J"),
    }  # fmt: skip
    assert files["site.yml"]["change"] == "changed"
    assert not (folder / "content").exists()
    assert written_files(folder) == [*files.values(), more]
    assert collect(package, folder, kept) == written_files(folder)


@pytest.mark.parametrize(
    "made",
    [
        b'[{"path": "../../../passphrase", "change": "new", "size": 1, "kept": true}]',
        b'[{"path": "/etc/passwd", "change": "new", "size": 1, "kept": true}]',
        b'[{"path": "a/./b", "change": "new", "size": 1, "kept": true}]',
        b'[{"path": 5, "change": "new", "size": 1, "kept": true}]',
        b'[{"path": "a"}]', b"{}", b"[" * 100_000, b"no JSON", b"",
    ],
)  # fmt: skip
def test_a_list_that_a_play_has_made_leads_nowhere_else(made: bytes, tmp_path: Path) -> None:
    """A list of written files that names anything outside of the folder of its job, or is none, does not count."""
    (tmp_path / "files.json").write_bytes(made)
    assert written_files(tmp_path) is None
    (tmp_path / "files.json").unlink()
    (tmp_path / "files.json").symlink_to("/etc/passwd")
    assert written_files(tmp_path) is None
    assert [name for name in ("a", ".hidden/b", "a b") if not is_below(name)] == []


def test_controller_files_are_ordinary_and_within_a_limit(tmp_path: Path) -> None:
    """A pipe or a link in a declared folder is not read, and more than can be kept is refused by its size."""
    copy, package = tmp_path / "copy", tmp_path / "package"
    (copy / "keys").mkdir(parents=True)
    (copy / "site.yml").touch()
    hostile(copy)
    kept = KeptFiles(tmp_path / "state", context(controller_files=("keys",)))
    kept.take(copy, package, Writer.of("r1.deploy", context(), "sha256:1"))
    there = {path.name for path in (tmp_path / "state").rglob("*") if path.is_file()}
    assert there == {"lock", "versions.json", "n" * 255, "token", os.fsdecode(b"\xff\x01\x1b[2J")}
    with (copy / "keys/large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OrchestratorError, match="1048576 MiB") as error:
        kept.take(copy, package, Writer.of("r2.deploy", context(), "sha256:2"))
    assert error.value.code == "D186"


def test_the_file_of_a_task_is_read_within_bounds(tmp_path: Path) -> None:
    """A play that reports a device, a pipe or endless YAML as the file of a task gets no handlers and holds nobody up."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nested").write_text("[" * 50_000)
    handlers = PendingHandlers()
    for at in ("/dev/zero:1", f"{tmp_path}/pipe:1", f"{tmp_path}/nested:1", f"{tmp_path}:1", "nowhere", "\0:1", ""):
        handlers.changed("web1", 0, "task", at)
    handlers.read()
    assert handlers.pending() == ()


STRANGE: list[dict[str, object]] = [
    {},
    {"kind": None},
    {"kind": []},
    {"kind": "step.finished", "outcome": "succeeded"},
    *(dict[str, object](kind=kind) for kind in ("task", "stats", "play", "notify", "notice", "no_hosts", "prompt", "test", "end", "collect", "refused", "resource")),
    {"kind": "task", "host": ["web1"], "task": {}, "action": 1, "outcome": None, "message": [], "where": 0, "seconds": "x", "ignored": 1},
    {"kind": "stats", "ok": {"web1": "many"}, "dark": [], "changed": {"web1": 10**400}},
    {"kind": "test", "name": "t", "host": "web1", "outcome": "splendid", "duration": 1, "message": "", "where": "", "reruns": 0, "expected": False, "nobody": False},
    {"kind": "test", "name": "t", "host": "web1", "outcome": "succeeded", "duration": 10**400, "message": "", "where": "", "reruns": 0, "expected": False, "nobody": False},
    {"kind": "end", "status": 1e300, "collected": "x", "told": None},
    {"kind": "notice", "level": 3, "text": {}},
]  # fmt: skip


def test_events_of_another_shape_are_none(tmp_path: Path) -> None:
    """A play and a suite that report anything else than events are judged by what is missing then; nothing else is recorded."""
    written: list[Entry] = []
    play = PlayTally("deploy", ("web1",), written.append, "r1.deploy")
    suite = SuiteTally("smoke", written.append, "r1.smoke")
    for number, event in enumerate(STRANGE):
        play.take(number, dict(event))
        suite.take(number, dict(event))
    ended = JobOutcome("exited", 0, tmp_path, 1.0)
    assert not play.result(ended, 0, "").good
    assert suite.result(ended, ["web1"], []).outcome is not Outcome.SUCCEEDED
    assert written == []


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[" * 100_000, b"[]", b'{"code": "0"}', b'{"code": 0}', b'{"code": 0, "error": "", "changes": [{"op": 1}]}',
        b'{"code": 0, "error": "", "counts": {"create": "x"}}', b'{"code": 0, "error": "", "outputs": []}',
        b'{"code": 0, "error": "", "refused": "ZZZ"}', b'{"code": 0, "error": "", "urns": [1]}', b'{"code": 0, "error": "", "refreshed": 7}',
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_none(answer: bytes, tmp_path: Path) -> None:
    """A program that writes the answer of its operation itself is treated as one that was killed before it gave one."""
    (tmp_path / "result.json").write_bytes(answer)
    assert operation_answer(tmp_path) == KILLED
    assert result_code(JobOutcome("exited", 3, tmp_path, 1.0)) == 3


@pytest.mark.parametrize(
    "plan",
    [
        b"", b"[]", b"[" * 100_000, b'{"resourcePlans": [1]}', b'{"resourcePlans": {"urn": {}}}',
        b'{"resourcePlans": {"a::b::c::d": {"goal": []}}}', b'{"resourcePlans": {"a::b::c::d": {"steps": 5}}}',
        b'{"resourcePlans": {"a::b::c::d": {"goal": {"inputDiff": {"adds": 7}}}}}', b'{"a": ' * 500 + b"1" + b"}" * 500,
    ],
)  # fmt: skip
def test_an_update_plan_of_another_shape_is_refused(plan: bytes, tmp_path: Path) -> None:
    """The program of a preview can write the saved update plan itself: one that is none is refused, and a pipe is not read."""
    (tmp_path / "plan.json").write_bytes(plan)
    os.mkfifo(tmp_path / "pipe")
    for name in ("plan.json", "pipe", "nothing"):
        with pytest.raises(OrchestratorError) as error:
            update_plan.saved(tmp_path / name)
        assert error.value.code == "E162"


def test_a_pipe_in_place_of_an_answer_holds_nobody_up(tmp_path: Path) -> None:
    """Files of a job that are none, or have no end, are read as if they were not there."""
    for name in ("result.json", "events.jsonl"):
        os.mkfifo(tmp_path / name)
    assert operation_answer(tmp_path) == KILLED
    assert result_code(JobOutcome("exited", 3, tmp_path, 1.0)) == 3
    assert list(resource_events(tmp_path)) == []
    assert unanswered(tmp_path) == []
    trees.remove(tmp_path / "events.jsonl")
    lines = [[], 5, {"op": "create"}, {"op": "create", "type": [], "urn": 3, "status": {}}]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n" + "[" * 100_000)
    assert list(resource_events(tmp_path)) == []
    assert unanswered(tmp_path) == ["None", "3"]


@pytest.mark.parametrize(
    "printed", ["", "[]", "[" * 100_000, '{"_meta": []}', '{"all": 5}', '{"ungrouped": "web1"}', '{"a": {}']
)
def test_a_listing_of_another_shape_is_none(printed: str) -> None:
    """A plugin of an inventory can print a listing itself: one that has anything but groups is none."""
    assert resolution._document(printed) is None
    assert resolution._document('{"_meta": {"hostvars": {}}, "all": {"children": ["web"]}}') is not None
