"""Row 3 once more, for each kind of job: in a project with ordinary playbooks, whose stack changes with the release."""

from contextlib import ExitStack
from pathlib import Path

from tests.campaigns.chains import MOMENTS, TALES, Chain, Tale, plain_project
from tests.campaigns.chaos.table import Scene, row
from tests.campaigns.plain import Plain


def _plain(scene: Scene) -> Plain:
    """The project, shared by all tales."""

    def make(_folder: Path, stack: ExitStack) -> Plain:
        return stack.enter_context(plain_project())

    return scene.shared.part("plain", make)


def _enter(tale: Tale) -> None:
    @row(3, f"kill -9 in one job after another: {tale.name}")
    def killed(scene: Scene) -> str:
        """A run that is killed in each of its jobs ends as it would have, and what is told of it is true."""
        chain = Chain(_plain(scene), tale, scene.rng.randrange(len(MOMENTS))).run()
        assert chain.wrong == [], "; ".join(chain.wrong)
        return f"shift {chain.shift}, killed in {', '.join(chain.killed)}"


for each in TALES:
    _enter(each)
