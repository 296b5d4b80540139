"""Rows 27 to 30: Pulumi's engine, its language host or its provider dies, hangs or fails, and locks are left."""

import json
import os
import threading
import time

from orchestrator.domain.step import Outcome, StepResult
from orchestrator.processes import kill_tree
from tests.adapters.pulumi.conftest import Stage
from tests.adapters.pulumi.test_recovery import Slow, code
from tests.campaigns.chaos.parts import nothing_left, until
from tests.campaigns.chaos.table import Scene, row

MOMENTS = ("before create one", "after create one", "before create two", "after create two")


def _slow(scene: Scene) -> Slow:
    made = Slow(scene.folder)
    made.settings["names"] = "one,two"

    def clean() -> None:
        (made.things / "hold").unlink(missing_ok=True)
        for job in (made.state / "jobs").glob("*"):
            kill_tree(f"ORCHESTRATOR_JOB={job}")

    scene.end.callback(clean)
    return made


def _settle(made: Slow) -> str:
    """Bring the stack up after a death; what cannot be known is looked at, as a person would. What was decided."""
    found, decided = made.up().result, "nothing to decide"
    if code(found)[1] == "E136":
        there = {path.name.split("-")[1]: path.name.removeprefix("thing-") for path in made.things.glob("thing-*")}
        names = {urn: urn.rpartition("::")[2] for urn in found.data["urns"]}
        created = {urn: there[name] for urn, name in names.items() if name in there}
        absent = [urn for urn in names if urn not in created]
        assert made.resolve(created, *absent).good
        decided = f"{len(created)} there, {len(absent)} not there"
        found = made.up().result
    assert found.good, found.message
    assert made.made() == made.known() == sorted(made.settings["names"].split(",")), (made.made(), made.known())
    assert made.locks() == []
    return decided


@row(27, "a part of Pulumi is killed in the middle of an update")
def killed(scene: Scene) -> str:
    """`kill -9` of the engine, the language host, the provider or our child: no resource lost, none made twice."""
    made = _slow(scene)
    moment, part = scene.rng.choice(MOMENTS), scene.rng.choice(("engine", "language host", "provider", "child"))
    found = made.interrupt(moment, part)
    assert found.outcome is Outcome.ERRORED, found
    nothing_left(made.jobs.folder(f"job-{made._number}"))
    decided = _settle(made)
    return f"{part} {moment}: {found.data.get('code')}; {decided}; two resources, each once"


@row(28, "a stale lock of Pulumi")
def stale(scene: Scene) -> str:
    """A lock of the dead that is ours is broken; one of the living, of another machine or of somebody else stays."""
    made = _slow(scene)
    made.settings["names"], made.policy = "one", "clear"
    made.interrupt("before create one", "engine")
    (lock,) = made.locks()
    ours = json.loads(lock.read_text())
    others: dict[str, dict[str, object]] = {
        "living": {"pid": os.getpid()},
        "elsewhere": {"hostname": "elsewhere"},
        "somebody": {"username": "somebody"},
    }
    for name, other in others.items():
        lock.write_text(json.dumps({**ours, **other}))
        assert code(made.up().result) == (Outcome.ERRORED, "E130", True), name
        assert lock.exists(), f"the lock of {name} was broken"
    lock.write_text(json.dumps(ours))
    decided = _settle(made)
    return f"{len(others)} locks left alone and told, ours broken; {decided}"


@row(29, "a provider fails in the middle")
def fails(scene: Scene) -> str:
    """Some resources are made and one fails: the state holds what is there, and the next update does the rest."""
    made = Stage(scene.folder)
    made.settings["names"] = "web1,web2,web3"
    assert made.up().result.good
    program = made.folder / "__main__.py"
    plain = program.read_text()
    program.write_text(plain.replace('title(config.get("text"))', "'fail' if name == 'web2' else 'new'"))
    found = made.up().result
    assert found.outcome is Outcome.FAILED, found
    assert "told to fail" in found.message, found.message
    program.write_text(plain.replace('title(config.get("text"))', "'newer'"))
    assert made.up().result.good
    texts = {path.name: path.read_text() for path in made.things.glob("web*")}
    assert texts == {"web1": "newer", "web2": "newer", "web3": "newer"}, texts
    assert made.provisioner.destroy(made.spec(), "end", made.entries.append).good
    assert [path.name for path in made.things.iterdir()] == [], "something is left of the stack"
    return f"{found.data.get('code')}; then three resources, and none after they were destroyed"


@row(29, "a provider hangs, and is ended")
def hangs(scene: Scene) -> str:
    """A create that never returns is stopped with all that it has started, and nothing is lost or made twice."""
    made = _slow(scene)
    moment = scene.rng.choice(MOMENTS)
    (made.things / "hold").write_text(moment)
    result = list[StepResult]()
    thread = threading.Thread(target=lambda: result.append(made.up().result))
    thread.start()
    until(lambda: moment in made.ledger(), "the provider hangs")
    began = time.monotonic()
    made.jobs.stop(f"job-{made._number}")
    thread.join(60)
    took = time.monotonic() - began
    assert result, "the update has not ended"
    assert not result[0].good
    nothing_left(made.jobs.folder(f"job-{made._number}"))
    (made.things / "hold").unlink()
    return f"{moment}: ended in {took:.1f} s, {result[0].data.get('code')}; {_settle(made)}"


@row(30, "two updates on one stack")
def two(scene: Scene) -> str:
    """While one works the other does nothing: it waits for its end, or is told who it is; and then all is there once."""
    made = _slow(scene)
    (made.things / "hold").write_text("before create two")
    results = list[StepResult]()

    def update(job: str) -> threading.Thread:
        work = lambda: results.append(made.provisioner.up(made.spec(), job, made.entries.append, plan=None).result)  # noqa: E731
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    first = update("first")
    until(lambda: "before create two" in made.ledger(), "the first works")
    second, passed = update("second"), made.ledger()
    time.sleep(scene.rng.uniform(3, 8))
    assert [word for word in made.ledger()[len(passed) :] if "create" in word] == [], "the second has made something"
    (made.things / "hold").unlink()
    for thread in (first, second):
        thread.join(90)
    assert len(results) == 2, "one of them has not ended"
    assert any(result.good for result in results), [result.message for result in results]
    told = [code(result)[1] for result in results if not result.good]
    assert told in ([], ["E130"]), told
    assert made.made() == made.known() == ["one", "two"], (made.made(), made.known())
    return f"the second {'was told who works' if told else 'waited'}; two resources, each once"
