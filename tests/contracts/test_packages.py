"""The contract of the `Packages` port, kept by the store of sealed files and by the one in memory."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Revision
from orchestrator.ports import Packages
from tests.adapters.archive.test_tree import committed
from tests.flow.test_promotion import release


@dataclass
class Case:
    """A store of packages, and the file of one package that can be put into it, built from *commit*."""

    packages: Packages
    file: Path
    commit: str


@pytest.fixture(params=["memory", "sealed files"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    wanted = release("1.0.0", steps=[{"name": "deploy", "playbook": "deploy.yml"}])
    if request.param == "memory":
        memory = MemoryPackages()
        return Case(memory, Path(memory.put(wanted, Revision(commit="a" * 40, dirty=False)).digest), "a" * 40)
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    for name, text in {"deploy.yml": "- hosts: all\n", "tests/test_it.py": "", "release.yaml": ""}.items():
        (project / name).write_text(text)
    commit = committed(project)
    file = tmp_path / "shop-1.0.0.release"
    SealedPackages(tmp_path / "builder").build(project, project / "release.yaml", wanted, file)
    return Case(SealedPackages(tmp_path / "kept"), file, commit)


@pytest.mark.parametrize("method", ["keep", "hold"])
def test_a_package_is_found_by_its_digest_until_it_is_removed(case: Case, method: str) -> None:
    """A package that is kept, for all machines or for this one, is listed and fetched by its digest, and a removed one is not."""
    packages = case.packages
    kept = packages.keep(case.file) if method == "keep" else packages.hold(case.file)
    assert packages.read(case.file).digest == kept.digest
    assert packages.fetch(kept.digest).manifest == kept.manifest
    assert (packages.refs(), packages.ref(kept.digest), packages.strange_names()) == ([kept.ref], kept.ref, [])
    packages.remove(kept.ref)
    assert (packages.refs(), packages.ref(kept.digest)) == ([], None)
    with pytest.raises(OrchestratorError, match=kept.digest.removeprefix("sha256:")[:12]):
        packages.fetch(kept.digest)


def test_a_kept_package_names_its_commit(case: Case) -> None:
    """A package that is kept has the Git commit from which it was built, also when only that is read."""
    kept = case.packages.keep(case.file)
    assert kept.revision is not None
    assert kept.revision.commit == case.commit
    assert case.packages.fetch(kept.digest).revision == case.packages.revision(kept.digest) == kept.revision
