"""What commands print passes the filter of secrets."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import output, report
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.secret import Secret
from orchestrator.secret_values import SecretValues, process_secrets, use

CANARY = 'canary-4711 "of" the terminal'


@pytest.fixture(autouse=True)
def secrets() -> Iterator[None]:
    before, mine = process_secrets(), SecretValues()
    mine.learn("here", [Secret("password", CANARY.encode())])
    use(mine)
    yield
    use(before)


def test_lines_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """No line of data or of progress has a secret."""
    output.out(f"it is {CANARY}")
    output.note(f"it is {CANARY.encode().hex()}")
    output.out(output.table(["name", "value"], [["password", CANARY]]))
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == "it is [secret]"
    assert said.err == "it is [secret]\n"
    assert "canary" not in said.out


def test_documents_stay_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON document has no secret, and is still JSON."""
    output.print_json("Thing", {"text": CANARY, "list": [CANARY, 1], "size": 3})
    output.print_json_line("Thing", {"text": json.dumps(CANARY)})
    first, _, second = capsys.readouterr().out.rpartition("}\n{")
    assert json.loads(f"{first}}}") == {
        "apiVersion": "orchestrator/v1", "kind": "Thing", "text": "[secret]", "list": ["[secret]", 1], "size": 3,
    }  # fmt: skip
    assert json.loads(f"{{{second}")["text"] == '"[secret]"'


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither an error nor its hint repeats a secret, as text and as JSON."""
    error = OrchestratorError("M199", f"it is {CANARY}", hint=f"not {CANARY}")
    for as_json in (False, True):
        report.show([error], as_json)
    said = capsys.readouterr()
    assert "canary" not in said.out + said.err
    assert json.loads(said.out)["errors"][0]["message"] == "it is [secret]"


def test_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The file with the details of an internal error has no secret either."""
    monkeypatch.setenv("ORCHESTRATOR_STATE", str(tmp_path))

    def fail() -> None:
        raise RuntimeError(CANARY)

    assert report.run_guarded(fail, []) == 70
    (file,) = tmp_path.glob("crash-*.log")
    assert "RuntimeError: [secret]" in file.read_text()
    assert "canary" not in file.read_text() + capsys.readouterr().err


def test_clear_text_is_printed_on_request_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Secrets are printed in clear within the block that an option asks for, and masked after it, also when it fails."""
    with pytest.raises(RuntimeError), output.revealed(clear=True):
        output.out(CANARY)
        output.print_json("Thing", {"text": CANARY})
        raise RuntimeError(CANARY)
    output.out(CANARY)
    assert capsys.readouterr().out.count("canary-4711") == 2
