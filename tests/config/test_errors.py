"""Every error about a file says what is wrong, where, and what to write: all errors of a file at once."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.cli.report import diagnostic
from orchestrator.config import load_release
from orchestrator.domain.errors import OrchestratorErrors, catalogue

HEAD = "apiVersion: orchestrator/v1\nkind: Release\nname: shop\nversion: '1.0.0'\n"
REST = """environments: [staging]
steps:
- {name: deploy, playbook: deploy.yml}
verify:
- {name: smoke, tests: tests}
"""
PROJECT = "apiVersion: orchestrator/v1\nkind: Project\nname: shop\n"
ENVIRONMENT = "apiVersion: orchestrator/v1\nkind: Environment\nname: staging\n"
WAVES = PROJECT + "waves:\n- name: all\n  environments: [[staging], [production]]\n"
PROVIDER = "{name: company, title: Company, issuer: https://login.example.com, client_id: shop}"
SIGN_IN = PROJECT + f"sign_in:\n  providers:\n  - {PROVIDER}\n"
SECRET = "client_id: shop, client_secret: "
GOOD: dict[str, str | bytes] = {
    "orchestrator.yaml": PROJECT,
    "environments/staging/environment.yaml": ENVIRONMENT,
    "environments/production/environment.yaml": ENVIRONMENT.replace("staging", "production") + "after: staging\n",
    "deploy.yml": "- hosts: all\n",
    "tests/test_it.py": "",
    "releases/shop/release.yaml": HEAD + REST,
}
RELEASE, STAGING = "releases/shop/release.yaml", "environments/staging/environment.yaml"


@dataclass
class Case:
    """What is in the file, and what is said: *at* is line and column, *marked* what the caret stands below."""

    code: str
    text: str | bytes
    at: str
    marked: str
    hint: str
    file: str = RELEASE


CASES = [
    Case("F102", HEAD + "# " + "x" * 1024 * 1024, "5:1048507", "x", "artifact"),
    Case("F103", HEAD.encode() + b"description: caf\xe9\n", "5:17", "\ufffd", "save the file as UTF-8"),
    Case("F104", HEAD + "description: a\u202eb\n" + REST, "5:15", ".", "remove it"),
    Case("F104", HEAD + "description: a\ufffeb\n" + REST, "5:15", ".", "remove it"),
    Case("F104", HEAD + "description: a\u061cb\n" + REST, "5:15", ".", "\\u061C in its place"),
    Case("F104", HEAD + "description: a\u200bb\n" + REST, "5:15", ".", "\\u200B in its place"),
    Case("F104", HEAD + "description: a\u00adb\n" + REST, "5:15", ".", "\\u00AD in its place"),
    Case("F104", HEAD + "description: a\u3164b\n" + REST, "5:15", ".", "\\u3164 in its place"),
    Case("F104", HEAD + "description: a\U000e0041b\n" + REST, "5:15", ".", "\\U000E0041 in its place"),
    Case("F105", HEAD + "description: 'a\n", "5:14", "'", "missing quote"),
    Case("F105", HEAD + "vars:\n\ta: 1\n" + REST, "6:1", "", "indent with spaces"),
    Case("F105", HEAD + REST.replace("deploy.yml}", r'deploy.yml, hosts: "~web\d+"}'), "7:53", "d", "single quotes"),
    Case("F106", "# nothing\n", "1:1", "#", "init"),
    Case("F107", HEAD + "vars: " + "[" * 70, "5:70", "[", "64 levels"),
    Case("F108", HEAD + REST + "---\n", "10:1", "-", "a file of its own"),
    Case("F109", HEAD + REST + "vars: {a: &b 1}\n", "10:11", "&", "write the value out"),
    Case("F109", HEAD + REST + "vars: {a: *b}\n", "10:11", "*", "write the value out"),
    Case("F110", HEAD + REST + "description: !vault x\n", "10:14", "!", "remove the tag"),
    Case("F111", HEAD + REST + "description: {{ x }}\n", "10:15", "{ x }", "double quotes"),
    Case("F112", HEAD + REST + "name: again\n", "10:1", "name", "remove one of the two; the first is in line 3"),
    Case("F113", HEAD + REST + "vars: {a: .inf}\n", "10:11", ".inf", "a finite number"),
    Case("F113", HEAD + REST + "vars: {a: -1e400}\n", "10:11", "-1e400", "a finite number"),
    Case("F113", HEAD + REST + "vars: {a: .NaN}\n", "10:11", ".NaN", "a finite number"),
    Case("F113", ENVIRONMENT + "vars: {a: 1e99999}\n", "4:11", "1e99999", "a finite number", STAGING),
    Case("F120", "- a\n", "1:1", "-", "start with apiVersion: orchestrator/v1 and kind: Release"),
    Case("F121", HEAD + REST + "descripton: x\n", "10:1", "descripton", "did you mean 'description'?"),
    Case("F121", HEAD + REST + "zzz: x\n", "10:1", "zzz", "known keys: apiVersion"),
    Case(
        "F121",
        HEAD + REST.replace("deploy.yml}", "deploy.yml, rollout: {strategy: canary, canary: {look: 5m}}}"),
        "7:77",
        "look",
        "renamed to 'observe'",
    ),
    Case("F122", HEAD + REST.replace(", playbook: deploy.yml", ""), "7:3", "{name: deploy}", "add playbook: here"),
    Case("F122", (HEAD + REST).replace("kind: Release\n", ""), "1:1", "a", "write kind: Release"),
    Case("F123", (HEAD + REST).replace("'1.0.0'", "1.10"), "4:10", "1.10", 'write version: "1.10"'),
    Case("F123", HEAD + REST.replace("[staging]", "[7]"), "5:16", "7", 'write "7"'),
    Case("F124", HEAD + REST + "include: x\n", "10:10", "x", "write a list"),
    Case("F124", HEAD + REST + "watch: x\n", "10:8", "x", "write a mapping"),
    Case("F124", HEAD + REST + "description: [x]\n", "10:14", "[x]", "write one text"),
    Case("F124", ENVIRONMENT + "ansible: {forks: two}\n", "4:18", "two", "write a whole number", STAGING),
    Case("F124", ENVIRONMENT + "ansible: {forks: 1.5}\n", "4:18", "1.5", "write a whole number", STAGING),
    Case("F124", ENVIRONMENT + "rollback: {automatic: no}\n", "4:23", "no", "write true or false", STAGING),
    Case("F125", (HEAD + REST).replace("kind: Release", "kind: Relase"), "2:7", "Relase", "write Release"),
    Case("F126", (HEAD + REST).replace("name: shop", "name: My Shop"), "3:7", "My Shop", "my-shop"),
    Case("F126", (HEAD + REST).replace("'1.0.0'", "1 0"), "4:10", "1 0", "1-0"),
    Case("F127", HEAD + REST.replace("deploy.yml}", "deploy.yml, hosts: '@a'}"), "7:47", "'@a'", "web:&eu"),
    Case("F127", HEAD + REST.replace("deploy.yml}", "deploy.yml, hosts: '~('}"), "7:47", "'~('", "web:&eu"),
    Case("F127", HEAD + REST.replace("tests}", "tests, timeout: 5}").replace("5}", '"5x"}'), "9:40", '"5x"', "30s"),
    Case("F127", HEAD + REST.replace("tests}", 'tests, timeout: "5m\\n"}'), "9:40", '"5m\\n"', "30s"),
    Case("F127", HEAD + REST + "requirements: [{memory: 5GB}]\n", "10:25", "5GB", "GiB"),
    Case("F127", HEAD + REST.replace("tests}", "/tests}"), "9:24", "/tests", "without / or ~"),
    Case("F127", HEAD + REST + "vars: {Bad-Name: {a: 1}}\n", "10:8", "Bad-Name", "lower-case"),
    Case("F127", HEAD + REST + "vars: {ansible_user: x}\n", "10:8", "ansible_user", "inventory"),
    Case("F127", ENVIRONMENT + "ansible: {forks: 0}\n", "4:18", "0", "write 1 or more", STAGING),
    Case("F127", HEAD + REST.replace("[staging]", "[]"), "5:15", "[]", "write at least 1"),
    Case("F131", ENVIRONMENT.replace("staging", "stage"), "3:7", "stage", "write name: staging", STAGING),
    Case("F132", ENVIRONMENT + "after: stagin\n", "4:8", "stagin", "did you mean 'staging'?", STAGING),
    Case("F133", ENVIRONMENT + "after: staging\n", "4:8", "staging", "remove after:", STAGING),
    Case(
        "F135",
        HEAD
        + REST.replace(
            "playbook: deploy.yml",
            "playbook: deploy.yml, rollout: {strategy: blue_green, blue_green: {blue: a, green: b, switch: none.yml}}",
        ),
        "7:112",
        "none.yml",
        "correct the path",
    ),
    Case("F135", HEAD + REST.replace("deploy.yml", "none.yml"), "7:28", "none.yml", "correct the path"),
    Case("F136", HEAD + REST + "- {name: smoke, tests: tests}\n", "10:10", "smoke", "the first is in line 9"),
    Case("F137", HEAD + REST + "artifacts: [{path: a/b c}]\n", "10:20", "a/b c", "name: b-c"),
    Case("F127", WAVES.replace("[production]", "[]"), "6:29", "[]", "write at least 1", "orchestrator.yaml"),
    Case(
        "F150", WAVES.replace("[production]", "[prodution]"), "6:30", "prodution", "'production'?", "orchestrator.yaml"
    ),
    Case("F151", WAVES.replace("[staging]", "[staging, staging]"), "6:28", "staging", "in line 6", "orchestrator.yaml"),
    Case("F152", WAVES.replace("name: all", "name: staging"), "5:9", "staging", "of their own", "orchestrator.yaml"),
    Case("F153", WAVES.replace("], [", ", "), "6:28", "production", "put staging into an earlier", "orchestrator.yaml"),
    Case("F121", SIGN_IN.replace("title", "titel"), "6:21", "titel", "did you mean 'title'?", "orchestrator.yaml"),
    Case(
        "F127", SIGN_IN.replace("https:", "http:"), "6:45", "http://login.example.com", "discovery", "orchestrator.yaml"
    ),
    Case(
        "F161", SIGN_IN + f"  - {PROVIDER}\n", "7:12", "company", "a name and an issuer of its own", "orchestrator.yaml"
    ),
    Case(
        "F161",
        SIGN_IN + f"  - {PROVIDER.replace('name: company', 'name: other')}\n",
        "7:43",
        "https://login.example.com",
        "a name and an issuer of its own",
        "orchestrator.yaml",
    ),
    Case("F138", HEAD + REST.replace("staging", "prod"), "5:16", "prod", "the project has production, staging"),
]
ELSEWHERE = {"F100", "F101", "F114", "F130", "F134", "F139", "F140", "F141", "F142", "F160"}
"""Codes about a file or folder that is not there, or cannot be opened or written (`test_scaffold.py`): no line to show.

F160 is about files of implementation plans: `tests/cli/test_implementation.py`. F140 to F142 are about names that are recorded
elsewhere: `tests/app/test_named_checks.py`.
"""


def _write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good project, which is the current folder."""
    _write(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_has_every_code() -> None:
    """Each F-code of the catalogue is provoked here."""
    codes = {code for code in catalogue() if code.startswith("F")}
    assert codes == {case.code for case in CASES} | ELSEWHERE


def test_a_good_project_has_no_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What every case begins with is valid."""
    assert main(["validate"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.hint[:20]}")
def test_each_error_shows_its_place_and_what_to_do(
    case: Case, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code, file:line:column, the line, a caret below the very place, and a hint."""
    _write(project, {case.file: case.text})
    assert main(["validate"]) == catalogue()[case.code].exit
    blocks = [block for block in capsys.readouterr().err.split("\n\n") if block.startswith(f"error[{case.code}]")]
    block = next(block for block in blocks if f"--> {case.file}:{case.at}\n" in block)
    lines = block.splitlines()
    caret = next(index for index, line in enumerate(lines) if set(line.split("|", 1)[-1].strip()) == {"^"})
    at = lines[caret].index("^")
    marked = lines[caret - 1][at : at + lines[caret].count("^")]
    assert (marked if case.marked else marked.strip()) == case.marked
    assert case.hint in block.split("= hint: ")[1]
    assert f"= docs: orchestrator explain {case.code}" in block


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("F124", "hunter2-hunter2"),
        ("F124", "4711471147114711"),
        ("F124", "[hunter2-hunter2]"),
        ("F121", "{value: hunter2-hunter2}"),
        ("F126", "{variable: hunter2-hunter2}"),
        ("F127", "{}"),
        ("F121", "\n      {value: hunter2-hunter2,\n  variable: X}"),
    ],
)
def test_a_secret_in_place_of_its_place_is_not_shown(
    code: str, text: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error about `client_secret` has its place and what to write, and neither the line nor a part of the value."""
    file = SIGN_IN.replace("client_id: shop", SECRET + text)
    _write(project, {"orchestrator.yaml": file})
    for words in (["validate"], ["validate", "--json"]):
        assert main(words) == catalogue()[code].exit
        shown = "".join(capsys.readouterr())
        assert ("hunter2" in shown, "4711" in shown, code in shown) == (False, False, True)
        assert "client_secret: {variable: NAME} or client_secret: {file: PATH}" in shown


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        ("F114", ["validate", "empty"], "orchestrator.yaml"),
        ("F114", ["validate", "pipe"], "orchestrator.yaml"),
        ("F130", ["-C", "/", "validate"], "orchestrator init"),
        ("F134", ["build", "none"], "the folder that holds one"),
    ],
)
def test_what_is_not_there_has_a_hint(
    project: Path, capsys: pytest.CaptureFixture[str], code: str, words: list[str], hint: str
) -> None:
    """A file that is missing or no file, a folder with nothing to check and a release that nobody knows."""
    (project / "empty").mkdir()
    os.mkfifo(project / "pipe")
    assert main(words) == catalogue()[code].exit
    said = capsys.readouterr().err
    assert f"error[{code}]" in said
    assert hint in said.split("= hint: ")[1]


@pytest.mark.parametrize(("code", "name", "hint"), [("F100", "none", "check the name"), ("F101", "tests", "its owner")])
def test_what_cannot_be_opened_has_a_hint(project: Path, code: str, name: str, hint: str) -> None:
    """A file that is missing, and a folder in a file's place."""
    with pytest.raises(OrchestratorErrors) as caught:
        load_release(project / name, project)
    said = diagnostic(caught.value.errors[0])
    assert said.startswith(f"error[{code}]")
    assert f"--> {name}\n" in said
    assert hint in said.split("= hint: ")[1]


def test_refusals_hide_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tag, an alias, a duplicate key and a second document hide neither each other nor what else is wrong."""
    _write(
        project,
        {
            RELEASE: "apiVersion: orchestrator/v1\nkind: Release\nname: !!str Shop\nname: shop\nversion: 1.10\n"
            "environments: [staging, staging, *x]\nsteps:\n- {name: a, playbook: none.yml}\n"
            "- {name: a, playbook: ../x, timeout: 5x}\nartifacts: [{path: a b}]\nvars: {a: .nan, Bad: 1}\n---\nmore\n"
        },
    )
    assert main(["validate", "--json"]) == 2
    errors = json.loads(capsys.readouterr().out)["errors"]
    found = {(error["code"], error["line"]) for error in errors}
    assert found == {
        ("F122", 1), ("F110", 3), ("F112", 4), ("F123", 5), ("F136", 6), ("F109", 6), ("F135", 8), ("F136", 9),
        ("F127", 9), ("F137", 10), ("F113", 11), ("F127", 11), ("F108", 12),
    }  # fmt: skip
    assert all(error["hint"] and error["column"] for error in errors)


def test_each_missing_key_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two keys that are missing in one mapping are two errors."""
    _write(project, {RELEASE: "apiVersion: orchestrator/v1\nkind: Release\n"})
    assert main(["validate"]) == 2
    said = capsys.readouterr().err
    assert all(f"the key '{key}' is missing" in said for key in ("name", "version", "environments", "steps", "verify"))


def test_a_tower_of_aliases_is_not_climbed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small file that would stand for billions of values is refused at once."""
    levels = "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    _write(project, {RELEASE: HEAD + REST + "vars:\n  a0: &a0 [x]\n" + levels})
    assert main(["validate"]) == 2
    assert "error[F109]" in capsys.readouterr().err
