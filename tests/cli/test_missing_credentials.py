"""A project without a server, on a machine that lacks credentials: `plan` names them, and nothing that acts changes anything."""

import json
import os
from pathlib import Path

import pytest

from orchestrator.cli import main
from tests.server.test_definitions_process import SOURCES, hosts
from tests.server.test_uploads import write

pytestmark = pytest.mark.long
PROGRAM = {
    "environments/staging/Pulumi.yaml": "name: shop\nruntime: python\n",
    "environments/staging/__main__.py": "import pulumi\n",
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a file for a vault's password and a stack with a passphrase, none of which is on this machine."""
    for name in list(os.environ):
        if name.startswith(("ORCHESTRATOR_", "PULUMI_CONFIG")) and name != "ORCHESTRATOR_PULUMI":
            monkeypatch.delenv(name)
    folder = tmp_path / "shop"
    write(folder, {**SOURCES, **PROGRAM, **hosts("one", tmp_path / "out")})
    settings = (folder / "environments/staging/environment.yaml").read_text()
    own = settings.replace("program: null\n", "").replace("environment: [OUT]", "environment: [OUT, TOKEN]")
    files = {"ansible.cfg": "[defaults]\nvault_password_file = vault.txt\n"}
    write(folder, {**files, "environments/staging/environment.yaml": f"{own}secrets: [TOKEN]\n"})
    (tmp_path / "backend").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/backend")
    monkeypatch.chdir(folder)
    return folder


def test_everything_that_is_missing_is_named_at_once(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable, a file and a passphrase that are missing are named in one plan, `promote` and operations on the stack end with E170, and each is named no more once it is there."""
    assert main(["build", "shop"]) == 0

    def missing() -> list[str]:
        capsys.readouterr()
        assert main(["plan", "shop-1.0.0", "--to", "staging", "--json"]) == 0
        plan = json.JSONDecoder().raw_decode(capsys.readouterr().out)[0]
        return [each["what"] for each in plan.get("missing_credentials", [])]

    passphrase = "the passphrase of the stack staging is not given"
    assert missing() == ["TOKEN is not set", "vault.txt does not exist", passphrase]
    assert main(["promote", "shop-1.0.0", "--to", "staging"]) == 1
    printed = capsys.readouterr()
    assert "E170" in printed.out + printed.err
    assert f"({shop}/vault.txt)" in printed.out + printed.err
    (shop / "vault.txt").write_text("correct horse")
    monkeypatch.setenv("TOKEN", "a value of the variable")
    assert missing() == [passphrase]
    for words in (["up", "staging", "--yes"], ["up", "staging"], ["preview", "staging"], ["destroy", "staging", "--yes"],
                  ["resolve", "staging", "--all-absent"]):  # fmt: skip
        capsys.readouterr()
        assert main(["environment", *words]) == 1, words
        printed = capsys.readouterr()
        assert ("E170" in printed.out + printed.err, passphrase in printed.out + printed.err) == (True, True), words
    assert main(["status"]) in {0, 5, 7}
    assert list((shop.parent / "backend").iterdir()) == []
