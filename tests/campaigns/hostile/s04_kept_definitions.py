"""S4: kept definitions that were edited on disk, in each file and in each use."""

import random
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from orchestrator.adapters.artifacts.places import artifacts
from orchestrator.adapters.pulumi import definition, definition_archive
from tests.adapters.pulumi.test_definition import KEPT, Project, edits
from tests.campaigns.hostile.case import Case, Defence, Outcome, Yard, refused, replaced

LINE, ABOUT = "S4", "kept definitions that were edited"


def _shared(project: Project, digest: str) -> object:
    folder = project.root.parent / "share"
    folder.mkdir()
    definition_archive.share(digest, project.store, artifacts(str(folder), project.root))
    return list(folder.rglob("names/*"))


USES: dict[str, Callable[[Project, str], object]] = {
    "a rollback": lambda project, digest: definition.verify_definition(project.store, digest),
    "sharing it": _shared,
}


def _attempt(how: str, what: str, use: str, yard: Yard) -> Outcome:
    project = Project(yard.inside)
    digest = KEPT[how](project)
    dict(edits(project.folder(digest)))[what]()
    return refused("E166", lambda: USES[use](project, digest))


def cases(seed: int) -> Iterator[Case]:
    """Each edit of a definition in each format, before a rollback and before it is shared."""
    found = []
    for how in KEPT:
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder))
            names = [what for what, _ in edits(project.folder(KEPT[how](project)))]
        found += [
            Case(f"{what} before {use} ({how})", partial(_attempt, how, what, use)) for what in names for use in USES
        ]
    random.Random(seed).shuffle(found)
    yield from found


def believed(store: Path, digest: str) -> definition.Manifest:
    """What a kept definition says of itself, without a look at its files."""
    return definition._manifest(store / digest.removeprefix("sha256:"), digest)


DEFENCES: dict[str, Defence] = {
    "files before a rollback": lambda: replaced(definition, "verify_definition", believed),
    "files before sharing": lambda: replaced(definition_archive, "verify_definition", believed),
}
