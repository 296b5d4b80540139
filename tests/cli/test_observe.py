"""`observe --accept-token N` is an operator's word, and stands in the journal."""

from pathlib import Path

from orchestrator.domain.fencing import HIGHEST
from tests.cli.test_waves import Yard


def test_a_confirmed_token_is_recorded(tmp_path: Path) -> None:
    """The request of the observation has the token that an operator confirmed; one that leaves no later ones is refused."""
    yard = Yard(tmp_path, root="ccc333").lay()
    said = yard.run("observe", "eu-1", "--accept-token", str(HIGHEST + 1), code=2)
    assert str(HIGHEST) in said.err
    yard.run("observe", "eu-1", "--accept-token", "123456", code=None)
    app = yard.app()
    try:
        run = app.store.runs("eu-1", limit=1)[0]
        assert run.kind == "observe"
        assert app.store.records(run.id, limit=1)[0].data["parameters"] == {"token": 123456}
    finally:
        app.close()
