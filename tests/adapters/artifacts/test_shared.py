"""What one machine keeps another one has: packages, definitions, plans and output, through one place in memory."""

import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.artifacts.folder import FolderObjects
from orchestrator.adapters.artifacts.logs import SharedLogs
from orchestrator.adapters.artifacts.memory import MemoryObjects
from orchestrator.adapters.artifacts.packages import SharedPackages
from orchestrator.adapters.artifacts.places import artifacts
from orchestrator.adapters.artifacts.verified import VerifiedArtifacts
from orchestrator.adapters.pulumi import definition, definition_archive
from orchestrator.domain.environment import Environment
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Release
from orchestrator.planning import make, plan_store
from orchestrator.planning.survey import PlanRequest
from tests.flow.test_promotion import Stage, release

RELEASE = {
    "apiVersion": "orchestrator/v1",
    "kind": "Release",
    "name": "shop",
    "version": "1.0.0",
    "environments": ["staging"],
    "steps": [{"name": "deploy", "playbook": "playbooks/deploy.yml"}],
    "verify": [{"name": "smoke", "tests": "tests"}],
}


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def place(objects: MemoryObjects) -> VerifiedArtifacts:
    return VerifiedArtifacts(objects)


def sealed(folder: Path) -> Path:
    """A small package's file."""
    for name, text in {"playbooks/deploy.yml": "- hosts: all\n", "tests/test_it.py": "", "release.yaml": ""}.items():
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(text)
    project = folder / "project"
    packages = SealedPackages(folder / "builder")
    return Path(
        packages.build(
            project, project / "release.yaml", Release.from_json(RELEASE), folder / "shop-1.0.0.release"
        ).path
    )


def machine(folder: Path, place: VerifiedArtifacts) -> SharedPackages:
    return SharedPackages(SealedPackages(folder / "packages"), place)


def test_a_package_is_fetched_where_it_is_needed(tmp_path: Path, place: VerifiedArtifacts) -> None:
    """What one machine keeps another one lists, fetches by its digest, verifies, and has from then on by itself."""
    kept = machine(tmp_path / "a", place).keep(sealed(tmp_path))
    other = machine(tmp_path / "b", place)
    assert other.refs() == [kept.ref]
    assert other.known() == []
    assert other.ref(kept.digest) == kept.ref
    got = other.fetch(kept.digest)
    assert got.root is not None
    assert (got.digest, Path(got.root, "playbooks/deploy.yml").read_text()) == (kept.digest, "- hosts: all\n")
    assert SealedPackages(tmp_path / "b" / "packages").fetch(kept.digest).digest == kept.digest


def extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


STRANGE = (
    f"shop/1.0.0/{'a' * 63}", f"shop/1.0.0/{'A' * 64}", f"SHOP/1.0.0/{'a' * 64}", f"shop/latest!/{'a' * 64}", f"shop/1.0.0/{'g' * 64}",
    f"{'a' * 64}/1.0.0/{'a' * 64}", f"shop/1.0.0/{'a' * 64}/more", "shop/1.0.0", "shop",
    f"shop/{'1' * 300}/{'a' * 64}", f"_shop/1.0.0/{'a' * 64}", f"shop/1.0.0/sha256:{'a' * 64}",
    f"shop/../{'a' * 64}", f"shop//{'a' * 64}", f"shop/1.0.0/{'a' * 64}\n", f"sh\u200bop/1.0.0/{'a' * 64}",
    "/".join("d" * 40),
)  # fmt: skip


def test_strange_names_break_no_listing(tmp_path: Path, place: VerifiedArtifacts, objects: MemoryObjects) -> None:
    """A name that no package has is left out and named, and every other package is listed, found and fetched."""
    kept = machine(tmp_path / "a", place).keep(sealed(tmp_path))
    for name in STRANGE:
        objects.content[f"names/packages/{name}"] = b"sha256:nonsense"
    other = machine(tmp_path / "b", place)
    assert other.refs() == [kept.ref]
    assert other.ref(kept.digest) == kept.ref
    assert other.fetch(kept.digest).digest == kept.digest
    named = {f"packages/{name}" for name in STRANGE}
    assert set(other.strange_names()) <= named
    assert f"packages/shop/1.0.0/{'A' * 64}" in other.strange_names()


def test_strange_files_in_a_shared_folder_break_no_listing(tmp_path: Path) -> None:
    """In a shared folder, names that are no text, links that lead to themselves and very deep folders are left out."""
    (tmp_path / "shared").mkdir()
    shared = VerifiedArtifacts(FolderObjects(tmp_path / "shared"))
    kept = machine(tmp_path / "a", shared).keep(sealed(tmp_path))
    above = tmp_path / "shared/names/packages"
    (above / "loop").symlink_to(above)
    Path(os.fsdecode(os.fsencode(above) + b"/\xff\xfe")).write_text("x")
    deep = above
    for _ in range(60):
        deep = deep / ("d" * 30)
        deep.mkdir()
    assert machine(tmp_path / "b", shared).refs() == [kept.ref]


@pytest.mark.parametrize("content", [b"", b"x" * 5_000_000, b"sha256:", b"sha256:" + b"a" * 64 + b"\0", b"\xff" * 71])
def test_the_content_of_a_name_is_bounded(place: VerifiedArtifacts, objects: MemoryObjects, content: bytes) -> None:
    """A name whose content is no digest is an error that names it, however long it is."""
    objects.content["names/plans/x"] = content
    with pytest.raises(OrchestratorError, match="names/plans/x") as error:
        place.named("plans/x")
    assert error.value.code == "S145"


def test_a_package_that_is_nowhere(tmp_path: Path, place: VerifiedArtifacts) -> None:
    """A package that nobody shares is not kept, and the message names where it was looked for."""
    with pytest.raises(OrchestratorError, match="kept neither here nor in memory") as error:
        machine(tmp_path, place).fetch("sha256:" + "a" * 64)
    assert error.value.code == "P301"


def test_another_package_under_its_name(tmp_path: Path, place: VerifiedArtifacts, objects: MemoryObjects) -> None:
    """A name that was bent to another package, or to no package at all, is refused, and nothing is kept of it."""
    kept = machine(tmp_path / "a", place).keep(sealed(tmp_path))
    wrong = "sha256:" + "c" * 64
    objects.content[f"names/packages/shop/1.0.0/{'c' * 64}"] = objects.content[
        f"names/packages/shop/1.0.0/{kept.digest.removeprefix('sha256:')}"
    ]
    with pytest.raises(OrchestratorError) as error:
        machine(tmp_path / "b", place).fetch(wrong)
    assert error.value.code == "P302"
    (tmp_path / "junk").write_bytes(b"junk")
    objects.content[f"names/packages/shop/1.0.0/{'c' * 64}"] = place.put(tmp_path / "junk").encode()
    with pytest.raises(OrchestratorError) as error:
        machine(tmp_path / "b", place).fetch(wrong)
    assert error.value.code.startswith("P2")
    assert not list((tmp_path / "b").rglob("*.release"))


def test_an_object_that_was_lost_is_put_there_again(
    tmp_path: Path, place: VerifiedArtifacts, objects: MemoryObjects
) -> None:
    """Keeping a package once more puts back what somebody has removed from the place."""
    packages = machine(tmp_path / "a", place)
    kept = packages.keep(sealed(tmp_path))
    for key in [key for key in objects.content if key.startswith("blobs/")]:
        del objects.content[key]
    with pytest.raises(OrchestratorError) as error:
        machine(tmp_path / "b", place).fetch(kept.digest)
    assert error.value.code == "S146"
    packages.share(kept)
    assert machine(tmp_path / "b", place).fetch(kept.digest).digest == kept.digest


def test_what_is_kept_here_needs_no_place(tmp_path: Path) -> None:
    """While the place does not answer, packages that are kept here are fetched, and what is asked there is an error."""
    (tmp_path / "place").mkdir()
    packages = machine(tmp_path, artifacts("place", tmp_path))
    file = sealed(tmp_path)
    kept = packages.keep(file)
    shutil.rmtree(tmp_path / "place")
    assert packages.fetch(kept.digest).digest == kept.digest
    assert packages.ref("sha256:" + "a" * 64) is None
    for work in (packages.refs, lambda: packages.keep(file), lambda: packages.fetch("sha256:" + "a" * 64)):
        with pytest.raises(OrchestratorError) as error:
            work()
        assert error.value.code == "S143"


# -- definitions ---------------------------------------------------------------------------------------------------


def defined(folder: Path) -> tuple[str, Path]:
    """A kept definition, with an executable file and a folder in it: its digest, and where definitions are kept."""
    program = folder / "project" / "environments" / "staging"
    (program / "lib").mkdir(parents=True)
    (program / "Pulumi.yaml").write_text("name: shop\nruntime: yaml\n")
    (program / "lib" / "hook.sh").write_text("#!/bin/sh\n")
    (program / "lib" / "hook.sh").chmod(0o755)
    head = {"apiVersion": "orchestrator/v1", "kind": "Environment", "name": "staging"}
    environment = Environment.from_json(head)
    found = definition.find_program(environment, program, folder / "project")
    return definition.keep_definition(found, environment, folder / "definitions")[0], folder / "definitions"


def test_a_definition_comes_back_as_it_was(tmp_path: Path, place: VerifiedArtifacts) -> None:
    """A definition that one machine shared another one has file by file, with what may be executed, and keeps it."""
    digest, store = defined(tmp_path)
    definition_archive.share(digest, store, place)
    definition_archive.share(digest, store, place)
    other = tmp_path / "other"
    definition_archive.fetch_definition(digest, other, place)
    kept = other / digest.removeprefix("sha256:") / definition.TREE / definition.verify_definition(other, digest).place
    assert (kept / "lib" / "hook.sh").stat().st_mode & 0o111
    assert (kept / "Pulumi.yaml").read_text() == "name: shop\nruntime: yaml\n"
    assert definition.kept_environment(other, digest).name == "staging"
    assert sorted(path.name for path in other.iterdir()) == [digest.removeprefix("sha256:")]


def test_a_definition_that_nobody_shares(tmp_path: Path, place: VerifiedArtifacts) -> None:
    """Where a definition is not shared, it is not kept here: the infrastructure stays, and that is told."""
    definition_archive.fetch_definition("sha256:" + "a" * 64, tmp_path, place)
    with pytest.raises(OrchestratorError) as error:
        definition.verify_definition(tmp_path, "sha256:" + "a" * 64)
    assert error.value.code == "E105"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["outside", "link", "changed", "junk"])
def test_a_bad_definition_is_refused(
    wrong: str, tmp_path: Path, place: VerifiedArtifacts, objects: MemoryObjects
) -> None:
    """An archive with a name that leads out of it, a link, another content, or that is none is refused, and nothing of it is written."""
    digest, store = defined(tmp_path)
    definition_archive.share(digest, store, place)
    name = f"names/definitions/{digest.removeprefix('sha256:')}"
    place.get(objects.content[name].decode(), tmp_path / "archive")
    with tarfile.open(tmp_path / "archive") as archive:
        members = [(member, extracted(archive, member)) for member in archive]
    for member, _ in members:
        if member.name.endswith("hook.sh"):
            member.name = "../../outside" if wrong == "outside" else member.name
            member.type = tarfile.SYMTYPE if wrong == "link" else member.type
            member.linkname = "/etc/passwd" if wrong == "link" else ""
            member.mode = 0o644 if wrong == "changed" else member.mode
    with tarfile.open(tmp_path / "bad", "w") as archive:
        for member, content in members:
            (tmp_path / "content").write_bytes(content)
            with (tmp_path / "content").open("rb") as file:
                archive.addfile(member, file if member.isreg() else None)
    if wrong == "junk":
        (tmp_path / "bad").write_bytes(b"junk" * 1000)
    objects.content[name] = place.put(tmp_path / "bad").encode()
    (tmp_path / "below").mkdir()
    with pytest.raises(OrchestratorError) as error:
        definition_archive.fetch_definition(digest, tmp_path / "below" / "definitions", place)
    assert error.value.code == "E105"
    assert list((tmp_path / "below").rglob("*")) == [tmp_path / "below" / "definitions"]


# -- plans and output ----------------------------------------------------------------------------------------------


def test_a_plan_is_had_by_other_machines(tmp_path: Path, place: VerifiedArtifacts) -> None:
    """A plan made on one machine is found by the beginning of its digest on another, and read as it was made."""
    stage = Stage(tmp_path / "a")
    setting = replace(stage.services(), artifacts=place)
    wanted = PlanRequest(stage.packages.put(release("1.0.0")), "staging")
    made = make.make(setting, wanted, "plan-1", lambda _entry: None)
    plan_store.save(setting, made)
    other = replace(setting, state=tmp_path / "b")
    plain = made.digest.removeprefix("sha256:")
    assert plan_store.stored_plans(other, plain[:12]) == [plain]
    assert plan_store.load_plan(other, made.digest) == made
    with pytest.raises(OrchestratorError) as error:
        plan_store.load_plan(other, "sha256:" + "a" * 64)
    assert error.value.code == "R121"


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_only_a_promotion_waits_for_the_place(action: str, tmp_path: Path) -> None:
    """Where a plan cannot be shared a promotion is refused before anything is done, and a rollback goes on."""
    stage = Stage(tmp_path)
    setting = replace(stage.services(), artifacts=artifacts("not-mounted", tmp_path))
    wanted = PlanRequest(stage.packages.put(release("1.0.0")), "staging")
    made = make.make(stage.services(), wanted, "plan-1", lambda _entry: None)
    made = made.model_copy(update={"action": action})
    if action == "rollback":
        plan_store.save(setting, made)
        assert plan_store.load_plan(setting, made.digest) == made
        return
    with pytest.raises(OrchestratorError) as error:
        plan_store.save(setting, made)
    assert error.value.code == "S143"


def job(jobs: Path, name: str, text: str, *, ended: bool = True) -> None:
    (jobs / name).mkdir(parents=True)
    (jobs / name / "output.log").write_text(text)
    (jobs / name / "secret.json").write_text("secret")
    if ended:
        (jobs / name / "outcome.json").write_text(json.dumps({"how": "exited", "cut": 7}))


def test_output_of_a_step_is_kept_by_digest(tmp_path: Path, place: VerifiedArtifacts, objects: MemoryObjects) -> None:
    """What a step's jobs printed is kept once they have ended, and nothing else of them, nor of other steps."""
    for name in ("r1.deploy.1", "r1.deploy.1.again", "r1.deploy.10", "r2.deploy.1"):
        job(tmp_path, name, f"{name} said this")
    job(tmp_path, "r1.deploy.1.going-on", "not yet", ended=False)
    job(tmp_path, "r1.deploy.1.silent", "")
    kept = SharedLogs(tmp_path, place).keep("r1.deploy.1")
    assert [entry.data["job"] for entry in kept] == ["r1.deploy.1", "r1.deploy.1.again"]
    assert (kept[0].kind, kept[0].data["size"], kept[0].data["cut"]) == ("log", 21, 7)
    place.get(kept[0].data["digest"], tmp_path / "back")
    assert (tmp_path / "back").read_text() == "r1.deploy.1 said this"
    assert len(objects.content) == 2
    assert SharedLogs(tmp_path / "nothing", place).keep("r1.deploy.1") == []


def test_output_that_cannot_be_shared_is_a_warning(tmp_path: Path) -> None:
    """Where output cannot be shared the journal says so, and nothing is raised."""
    job(tmp_path, "r1.deploy.1", "said")
    kept = SharedLogs(tmp_path, artifacts("not-mounted", tmp_path)).keep("r1.deploy.1")
    assert [(entry.kind, entry.data["level"]) for entry in kept] == [("notice", "warning")]
    assert "only on the machine that ran it" in kept[0].data["text"]
