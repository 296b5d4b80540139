"""`logs --output`: what engines printed, on the machine that ran them and on others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.domain.journal import Run
from orchestrator.wiring import App, open_app

PROJECT = "apiVersion: orchestrator/v1\nkind: Project\nname: shop\nartifacts: shared\n"
RUN = "r1-staging"
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command in a project that shares artifacts: its exit status, standard output and standard error."""
    (tmp_path / "orchestrator.yaml").write_text(PROJECT)
    (tmp_path / "shared").mkdir()
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def app(say: Say, tmp_path: Path) -> App:
    """The project, with a run whose steps have printed something."""
    app = open_app(tmp_path)
    app.store.create(Run(id=RUN, root="r1", kind="promotion", environment="staging", by="ann"))
    for step, text in {"deploy.1": "PLAY RECAP\n\x1b]0;owned\x07ok=3\n", "verify.smoke.deploy.1": "5 passed\n"}.items():
        folder = app.state / "jobs" / f"{RUN}.{step}"
        folder.mkdir(parents=True)
        (folder / "output.log").write_text(text)
        (folder / "outcome.json").write_text('{"how": "exited", "code": 0, "seconds": 1, "cut": 0}')
        app.store.append(RUN, app.services.logs.keep(f"{RUN}.{step}"))
    app.close()
    return app


def test_output_is_shown_wherever_it_is_asked(say: Say, app: App) -> None:
    """What jobs printed is the same from their folders and, on a machine that has none of them, from where it is shared."""
    here = say("logs", RUN, "--output")
    shutil.rmtree(app.state / "jobs")
    assert say("logs", RUN, "--output") == here
    assert here[1] == f"{RUN}.deploy.1\nPLAY RECAP\nok=3\n{RUN}.verify.smoke.deploy.1\n5 passed\n"
    shutil.rmtree(app.root / "shared")
    assert say("logs", RUN, "--output") == here


def test_output_of_one_step(say: Say, app: App) -> None:
    """`--step` shows one step's output by its name or its beginning; a step that printed nothing is not found; JSON has the digest."""
    assert say("logs", RUN, "--output", "--step", "verify")[1] == f"{RUN}.verify.smoke.deploy.1\n5 passed\n"
    code, _, error = say("logs", RUN, "--output", "--step", "watch")
    assert (code, "R142" in error) == (6, True)
    document = json.loads(say("logs", RUN, "--output", "--step", "verify", "--json")[1])
    assert (document["kind"], document["text"]) == ("Output", "5 passed\n")
    assert document["digest"].startswith("sha256:")


def test_output_that_was_damaged(say: Say, app: App) -> None:
    """Shared output that is not what its digest says is an error, and nothing of it is shown."""
    shutil.rmtree(app.state / "jobs")
    for path in (app.root / "shared" / "blobs").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().upper())
    code, out, error = say("logs", RUN, "--output")
    assert (code, out, "S145" in error) == (1, "", True)


def test_files_that_playbooks_wrote(say: Say, app: App, tmp_path: Path) -> None:
    """`--files` lists what playbooks wrote on the controller by step, and `--save` copies what is kept, below its step."""
    folder = app.state / "jobs" / f"{RUN}.deploy.1"
    (folder / "files/fetched").mkdir(parents=True)
    (folder / "files/fetched/web1.txt").write_text("from web1\n")
    written = [
        {"path": "fetched/web1.txt", "change": "new", "size": 10, "kept": True},
        {"path": "big\x1b[31m.log", "change": "new", "size": 2**31, "kept": False},
    ]
    (folder / "files.json").write_text(json.dumps(written))
    code, out, _ = say("logs", RUN, "--files")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["deploy.1", "new", "10", "B", "fetched/web1.txt"],
        ["deploy.1", "new", str(2**31), "B", "big.log", "(not", "kept)"],
    ]
    assert say("logs", RUN, "--files", "--step", "verify")[1] == ""
    document = json.loads(say("logs", RUN, "--files", "--step", "deploy", "--json")[1])
    assert (document["kind"], document["step"], document["files"]) == ("Files", "deploy.1", written)
    assert say("logs", RUN, "--files", "--save", str(tmp_path / "saved"))[0] == 0
    saved = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert [path.relative_to(tmp_path / "saved").as_posix() for path in saved] == ["deploy.1/fetched/web1.txt"]
    assert saved[0].read_text() == "from web1\n"
