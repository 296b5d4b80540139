"""Controller files of an environment over whole runs: which version each play finds, on whichever machine it runs."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.adapters.ansible.kept_files import KeptFiles, Writer, needed
from orchestrator.adapters.ansible.shared_files import SharedFiles
from orchestrator.adapters.artifacts.memory import MemoryObjects
from orchestrator.adapters.artifacts.verified import VerifiedArtifacts
from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.world import World
from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlaySpec
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.flow import WORKFLOWS, promotion
from orchestrator.ports import Emit
from orchestrator.services import Services
from tests.flow.test_as_of import later, restored
from tests.flow.test_promotion import Stage, release
from tests.flow.test_rollback_targets import UNDO, back


class Controller(MemoryDeployer):
    """Plays that read `credentials/db` on their machine, and add the version of their release to it."""

    def __init__(self, world: World, machine: Path, shared: SharedFiles | None, seen: list[tuple[str, str]]) -> None:
        super().__init__(world)
        self._machine, self._shared, self._seen = machine, shared, seen

    def prepare(self, context: Context) -> None:
        """Fetch what other machines wrote."""
        KeptFiles(self._machine, context, self._shared).exchange()

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Read and write the file as a playbook does, in a copy of its own."""
        kept, writer = KeptFiles(self._machine, context, self._shared), Writer.of(job, context, package.digest)
        copy, sealed = self._machine / "jobs" / job, self._machine / "sealed"
        kept.lay(copy, writer)
        file = copy / "credentials" / "db"
        text = file.read_text() if file.exists() else ""
        self._seen.append((writer.step, text))
        if package.ref.version not in text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text} {package.ref.version}".strip())
        kept.take(copy, sealed, writer)
        return super().deploy(play, package, inventory, context, job, emit)


@dataclass
class Machines(Stage):
    """A project whose staging keeps controller files; its runs are done on the machine *at*."""

    at: str = "one"
    objects: MemoryObjects | None = None
    keys: dict[str, MemoryKeys] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)

    def services(self) -> Services:
        """The project on this machine."""
        shared = None
        if self.objects is not None:
            shared = SharedFiles(VerifiedArtifacts(self.objects), self.keys.get(self.at, MemoryKeys()))
        return replace(super().services(), deployer=Controller(self.world, self.folder / self.at, shared, self.seen))

    def found(self, *steps: str) -> list[str]:
        """What the plays of these steps found, since the last call; every step has a play."""
        found = [text for step, text in self.seen if step in steps]
        assert {step for step, _ in self.seen} >= set(steps), self.seen
        self.seen.clear()
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Machines:
    made = Machines(tmp_path, rules={"staging": {"controller_files": ["credentials/"]}})
    made.promote("1.0.0", "staging")
    assert made.found("deploy.1") == [""]
    return made


def test_each_release_finds_what_the_one_before_wrote(stage: Machines) -> None:
    """A promotion finds the newest version, and each rollback that an operator requests the version of its release."""
    for version, found in (("1.1.0", "1.0.0"), ("1.2.0", "1.0.0 1.1.0")):
        stage.promote(version, "staging", steps=UNDO)
        assert set(stage.found("one.1")) == {found}
    assert back(stage).state is State.ROLLED_BACK
    undone = [text for step, text in stage.seen if step.startswith("undo.")]
    assert undone == ["1.0.0 1.1.0 1.2.0"] * 2
    assert stage.found("restore.deploy") == ["1.0.0 1.1.0"]
    stage.promote("1.3.0", "staging")
    assert stage.found("deploy.1") == ["1.0.0 1.1.0"]


def test_an_older_release_finds_the_version_that_it_wrote(stage: Machines) -> None:
    """The promotion of an older release finds the version of its release, as a rollback to it does; that of a newer one the newest."""
    for version in ("1.1.0", "1.2.0"):
        stage.promote(version, "staging")
    stage.seen.clear()
    assert stage.promote("1.0.0", "staging").state is State.SUCCEEDED
    assert stage.found("deploy.1") == ["1.0.0"]
    stage.promote("1.3.0", "staging")
    assert stage.found("deploy.1") == ["1.0.0"]


def test_an_automatic_rollback_restores_the_version_of_its_release(stage: Machines) -> None:
    """Undo playbooks find the version of the release that they undo; the next release that of the restored one."""
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    assert stage.promote("1.1.0", "staging", steps=UNDO).state is State.ROLLED_BACK
    undone = [text for step, text in stage.seen if step.startswith("undo.")]
    assert undone == ["1.0.0 1.1.0"] * 2
    assert stage.found("restore.deploy") == ["1.0.0"]
    stage.promote("1.2.0", "staging")
    assert stage.found("deploy.1") == ["1.0.0"]


def test_a_rollback_that_only_undoes_leaves_the_version_of_its_release(stage: Machines, tmp_path: Path) -> None:
    """After a run that went back to the verified release without a play of it, the version of that release counts."""
    stage.promote("1.1.0", "staging")
    old = stage.store.verified("staging")[0].release.digest
    context = Context(run="r9", environment="staging", project="demo", controller_files=("credentials/",))
    kept, copy = KeptFiles(tmp_path / "one", context), tmp_path / "failed"
    kept.lay(copy, Writer.of("r9.deploy.1", context, "sha256:new"))
    (copy / "credentials/db").write_text("never verified")
    kept.take(copy, tmp_path / "sealed", Writer.of("r9.deploy.1", context, "sha256:new"))
    for verified, found in ((None, "never verified"), ((old, "r8"), "never verified"), ((old, "r9"), "1.0.0 1.1.0")):
        later_on, target = replace(context, run="r10", verified=verified), tmp_path / f"next of {verified}"
        kept.lay(target, Writer.of("r10.deploy.1", later_on, "sha256:newest"))
        assert (target / "credentials/db").read_text() == found


def test_a_declared_file_never_replaces_a_sealed_one(tmp_path: Path) -> None:
    """A file of the package counts in each run, also where one of its name was kept, and is not kept itself."""
    context = Context(run="r1", environment="staging", project="demo", controller_files=("credentials/",))
    kept, sealed = KeptFiles(tmp_path / "kept", context), tmp_path / "sealed"
    for number, names in enumerate((("own", "made"), ("made",))):
        copy = tmp_path / f"copy{number}"
        for folder in (sealed, copy):
            (folder / "credentials").mkdir(parents=True, exist_ok=True)
        (sealed / "credentials/own").write_text("sealed")
        (copy / "credentials/own").write_text("changed by the play")
        for name in names:
            (copy / "credentials" / name).write_text("kept")
        kept.take(copy, sealed, Writer.of(f"r1.deploy.{number}", context, "sha256:a"))
    later_on = replace(context, run="r2")
    target = tmp_path / "next"
    (target / "credentials").mkdir(parents=True)
    (target / "credentials/made").write_text("sealed in the next release")
    kept.lay(target, Writer.of("r2.deploy.1", later_on, "sha256:b"))
    assert (target / "credentials/made").read_text() == "sealed in the next release"
    assert not (target / "credentials/own").exists()


def test_an_environment_of_a_time_gets_the_version_of_its_release(stage: Machines) -> None:
    """A release that is restored as of a time finds the version that it wrote."""
    then = later(stage)
    for version in ("1.1.0", "1.2.0"):
        stage.promote(version, "staging")
        later(stage)
    stage.seen.clear()
    assert restored(stage, then, "staging").state is State.ROLLED_BACK
    assert stage.found("restore.deploy") == ["1.0.0"]


def test_a_rehearsal_keeps_no_version(stage: Machines) -> None:
    """What is rehearsed finds the version of its own release, and writes into a copy that is thrown away."""
    ctx = stage.ctx(stage.packages.put(release("1.1.0")), "staging", kind="rehearsal")
    assert WORKFLOWS["rehearsal"](ctx).state is State.SUCCEEDED
    folder = stage.folder / "one/controller-files/staging"
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2
    assert stage.found("rehearse.back.deploy", "rehearse.again.deploy.1") == ["1.0.0", "1.0.0 1.1.0"]
    stage.promote("1.2.0", "staging")
    assert stage.found("deploy.1") == ["1.0.0 1.1.0"]


def test_machines_share_versions_encrypted(tmp_path: Path) -> None:
    """Each machine finds what another wrote, and what they share contains neither the files nor their names."""
    stage = Machines(tmp_path, rules={"staging": {"controller_files": ["credentials/"]}}, objects=MemoryObjects())
    for machine, version, found in (("one", "1.0.0", ""), ("two", "1.1.0", "1.0.0"), ("one", "1.2.0", "1.0.0 1.1.0")):
        stage.at = machine
        assert stage.promote(version, "staging").state is State.SUCCEEDED
        assert stage.found("deploy.1") == [found]
    stage.at = "three"
    assert back(stage).state is State.ROLLED_BACK
    assert stage.found("restore.deploy") == ["1.0.0 1.1.0"]
    assert stage.objects is not None
    shared = b"".join(stage.objects.content.values())
    assert len(shared_names(stage.objects)) == 3  # the first one of 1.1.0 is not needed any more
    assert b"1.0.0" not in shared
    assert b"credentials" not in shared
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "three/controller-files").rglob("db")}
    assert modes == {0o600}


def test_a_machine_without_the_key_changes_nothing(tmp_path: Path) -> None:
    """A run is refused before any effect, with the key that is missing, and one whose files were changed as well."""
    stage = Machines(tmp_path, rules={"staging": {"controller_files": ["credentials/"]}}, objects=MemoryObjects())
    stage.promote("1.0.0", "staging")
    stage.at, stage.keys["two"] = "two", MemoryKeys(b"x" * 32)
    stage.world.ledger.clear()
    run = stage.promote("1.1.0", "staging")
    assert (run.state, stage.failure(run)["failure"]["code"]) == (State.FAILED, "D170")
    assert stage.world.ledger == []
    assert stage.objects is not None
    stage.objects.content = {
        key: data[:-1] + b"\0" for key, data in stage.objects.content.items() if "blobs" in key
    } | {key: data for key, data in stage.objects.content.items() if "blobs" not in key}
    stage.at = "three"
    assert stage.promote("1.1.0", "staging").state is State.FAILED
    assert stage.world.ledger == []


class Unreachable(MemoryObjects):
    """A place for artifacts that can be down."""

    down = False

    def keys(self, prefix: str) -> list[str]:
        """The names, unless it is down."""
        if self.down:
            raise OrchestratorError("S142", "the place does not answer")
        return super().keys(prefix)


def test_a_rollback_does_not_need_the_place_that_machines_share(tmp_path: Path) -> None:
    """A machine that has the version goes back while the place is down, and shares what it wrote when it is back."""
    objects = Unreachable()
    stage = Machines(tmp_path, rules={"staging": {"controller_files": ["credentials/"]}}, objects=objects)
    stage.promote("1.0.0", "staging")
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    ctx = stage.ctx(stage.packages.put(release("1.1.0", steps=UNDO)), "staging")
    ctx.durable = MemoryDurable({}, lambda name, _when: setattr(objects, "down", objects.down or "verify" in name))
    assert promotion(ctx).state is State.ROLLED_BACK
    assert objects.down
    assert stage.found("restore.deploy") == ["1.0.0"]
    names = shared_names(objects)
    objects.down = False
    stage.at = "one"
    stage.promote("1.2.0", "staging")
    assert len(shared_names(objects) - names) == 2


class Interrupted(MemoryObjects):
    """A place for artifacts that fails at a removal: at the one before which *passing* others have passed."""

    passing = -1

    def remove(self, key: str) -> None:
        """Remove the object, or fail before."""
        self.passing -= 1
        if self.passing == -1:
            raise OrchestratorError("S142", "the place does not answer")
        super().remove(key)


@pytest.mark.parametrize("passing", [-1, 0, 1, 2])
def test_the_content_of_removed_versions_is_removed(tmp_path: Path, passing: int) -> None:
    """The place that machines share has no encrypted content of a version that was removed, also if a removal was interrupted at any point."""
    objects = Interrupted()
    stage = Machines(tmp_path, rules={"staging": {"controller_files": ["credentials/"]}}, objects=objects)
    stage.promote("1.0.0", "staging")
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    stage.promote("1.1.0", "staging", steps=UNDO)
    before, objects.passing = set(objects.content), passing
    assert stage.promote("1.2.0", "staging").state is (State.SUCCEEDED if passing < 0 else State.FAILED)
    assert (passing < 0) is (not [key for key in objects.content if "controller-files-removed" in key])
    objects.passing = -1
    assert stage.promote("1.3.0", "staging").state is State.SUCCEEDED
    assert [key for key in before - set(objects.content) if key.startswith("blobs/")]
    names = [key for key in objects.content if key.startswith("names/")]
    assert {key.split("/")[1] for key in names} == {"controller-files"}
    led = {objects.content[key].decode().strip().removeprefix("sha256:") for key in names}
    assert {key.removeprefix("blobs/sha256/").replace("/", "") for key in objects.content if key not in names} == led


def shared_names(objects: MemoryObjects) -> set[str]:
    """The versions that machines share."""
    return {key.rpartition("/")[2] for key in objects.content if key.startswith("names/controller-files/demo/staging/")}


def kept_here(stage: Machines) -> set[str]:
    """The versions that the machine at hand has."""
    return {path.name for path in (stage.folder / stage.at / "controller-files/staging").iterdir() if path.is_dir()}


@pytest.mark.parametrize(
    ("versions", "verified", "kept"),
    [
        ("", "a", ""),
        ("a1", "a", "a1"),
        ("a1 b2", "a", "a1 b2"),  # the newest one
        ("a1 a2 b3", "b", "a2 b3"),  # the last one of each release that was verified
        ("a1 x2 b3", "b", "a1 b3"),  # x was never verified, and b wrote after it
        ("a1 x2 x3 a4", "a", "a4"),
        ("a1 b2 x3", "a", "a1 b2 x3"),  # nothing of a came after x yet
        ("a1 x2 y3", "a", "a1 x2 y3"),
        ("a1 a7 x7 b8", "b", "a7 x7 b8"),  # the run at hand is 7
        ("a1 a2 b3", "", "a1 a2 b3"),  # nothing was verified
    ],
)
def test_versions_that_no_play_can_get_are_not_needed(versions: str, verified: str, kept: str) -> None:
    """Each version is its release and its run; a and b were verified, x and y were not."""
    listed = [{"digest": word[0], "run": word[1], "folder": word} for word in versions.split()]
    context = Context(
        run="7", environment="staging", targets=frozenset("ab"), verified=(verified, "1") if verified else None
    )
    assert [version["folder"] for version in needed(listed, context)] == kept.split()
    assert needed(listed, replace(context, targets=None)) == listed


def test_versions_are_removed_with_the_last_need_for_them(stage: Machines) -> None:
    """Releases that were never verified leave nothing behind; each verified release is restored with its own version."""
    for number, version in enumerate(("1.1.0", "1.2.0", "1.3.0"), start=1):
        stage.world.faults.add(("verify", "s1", version))
        assert stage.promote(version, "staging", steps=UNDO).state is State.ROLLED_BACK
        stage.seen.clear()
        assert stage.promote(f"2.{number}.0", "staging").state is State.SUCCEEDED
        assert stage.found("deploy.1") == [" ".join(["1.0.0", *(f"2.{before}.0" for before in range(1, number))])]
    assert len(kept_here(stage)) == 4
    assert back(stage).state is State.ROLLED_BACK
    assert stage.found("restore.deploy") == ["1.0.0 2.1.0 2.2.0"]
    assert len(kept_here(stage)) == 4


def test_a_machine_that_was_away_shares_nothing_that_was_removed(tmp_path: Path) -> None:
    """What one machine removed is removed on the others before they share, also where they had it before."""
    objects = MemoryObjects()
    stage = Machines(tmp_path, rules={"staging": {"controller_files": ["credentials/"]}}, objects=objects)
    stage.at = "away"
    stage.promote("1.0.0", "staging")
    stage.world.faults.add(("verify", "s1", "1.1.0"))
    assert stage.promote("1.1.0", "staging", steps=UNDO).state is State.ROLLED_BACK
    before = kept_here(stage)
    stage.at = "here"
    stage.promote("1.2.0", "staging")
    gone = before - shared_names(objects)
    assert gone
    assert kept_here(stage) == shared_names(objects)
    stage.at = "away"
    stage.promote("1.3.0", "staging")
    assert kept_here(stage) == shared_names(objects)
    assert gone & shared_names(objects) == set()
    stage.seen.clear()
    assert back(stage).state is State.ROLLED_BACK
    assert stage.found("restore.deploy") == ["1.0.0 1.2.0"]
