"""Each mend can be undone, and no project is the same without it."""

import pytest

from tests.unchanged.known import MENDS
from tests.unchanged.project import corpus
from tests.unchanged.undo import compared, edited
from tests.unchanged.undoings import UNDOINGS, WITHOUT, Undoing


def test_every_mend_is_undone() -> None:
    """Each line of the mends has an undoing, or a reason why none is possible; each names projects that cover it."""
    assert {undoing.line for undoing in UNDOINGS} | set(WITHOUT) == set(MENDS)
    assert {undoing.line for undoing in UNDOINGS} & set(WITHOUT) == set()
    covers = {project.name: project.covers for project in corpus()}
    assert [
        (undoing.name, name) for undoing in UNDOINGS for name in undoing.projects if undoing.line not in covers[name]
    ] == []
    assert len({undoing.name for undoing in UNDOINGS}) == len(UNDOINGS)


@pytest.mark.parametrize("undoing", UNDOINGS, ids=lambda undoing: undoing.name)
def test_an_edit_fits_the_product(undoing: Undoing) -> None:
    """Its text is in the file once, and what takes its place is Python."""
    compile(edited(undoing), undoing.file, "exec")


@pytest.mark.engines
@pytest.mark.parametrize("name", ["a prompt that has a default is refused at build"])
def test_a_project_is_not_the_same_without_a_mend(name: str) -> None:
    """The product without the mend refuses the project, fails with it, or does something else than by hand."""
    (undoing,) = (undoing for undoing in UNDOINGS if undoing.name == name)
    (project,) = (project for project in corpus() if project.name == undoing.projects[0])
    assert compared(undoing, project).differences
