"""Values that vaults encrypt are learnt, so that they can be masked."""

import os
import shutil
from pathlib import Path

from orchestrator.adapters.ansible.vaulted import VaultedValues, files_below, named_passwords, vaulted_secrets
from orchestrator.domain.secret import Secret

PROJECTS = Path(__file__).resolve().parents[2] / "unchanged/projects"
ENV = {"PATH": os.environ["PATH"]}


def learnt(project: Path, password_file: str | None, identities: str | None) -> dict[str, bytes]:
    passwords = named_passwords(password_file, identities)
    found = VaultedValues().secrets(files_below([project]), passwords, ENV)
    return {secret.key: secret.value for secret in found if secret.key != "vault_password"}


def test_files_that_a_vault_encrypts() -> None:
    """Each value of a file that `ansible-vault` has encrypted is a secret, called by its own key."""
    project = PROJECTS / "vault-password-file"
    found = learnt(project, str(project / ".vault_pass"), None)
    assert found
    assert all(value and value.isascii() for value in found.values())
    assert learnt(project, None, None) == {}


def test_values_of_several_identities(tmp_path: Path) -> None:
    """A value behind `!vault` is opened with the password of its label, also where a program prints that."""
    project = tmp_path / "project"
    shutil.copytree(PROJECTS / "vault-identities", project)
    (project / "secrets/ops.sh").chmod(0o755)
    one, other = f"dev@{project}/secrets/dev.txt", f"ops@{project}/secrets/ops.sh"
    both = VaultedValues().secrets(files_below([project]), named_passwords(None, f"{one}, {other}"), ENV)
    tokens = {secret.value for secret in both if secret.key == "token"}
    assert len(tokens) == 2
    alone = VaultedValues().secrets(files_below([project]), named_passwords(None, one), ENV)
    assert {secret.value for secret in alone if secret.key == "token"} < tokens
    passwords = [secret.value for secret in both if secret.key == "vault_password"]
    assert passwords[0] == (project / "secrets/dev.txt").read_bytes().strip()


def test_what_is_no_vault(tmp_path: Path) -> None:
    """Damaged text, another password, a password that is asked for and a file that is gone are no secrets and no errors."""
    sealed = (PROJECTS / "vault-password-file/group_vars/web/vault.yml").read_bytes()
    assert list(vaulted_secrets(sealed, [("", b"another")])) == []
    assert list(vaulted_secrets(sealed.replace(b"6", b"7"), [("", b"another")])) == []
    assert list(vaulted_secrets(b"$ANSIBLE_VAULT;1.1;AES256\n61\n", [("", b"another")])) == []
    assert named_passwords(None, "dev@prompt, ") == []
    gone = named_passwords(str(tmp_path / "gone"), None)
    assert VaultedValues().secrets([tmp_path / "nothing"], gone, ENV) == []


def test_a_file_is_opened_once(tmp_path: Path) -> None:
    """A file is decrypted once in a process, and again when it was changed."""
    project = PROJECTS / "vault-password-file"
    file = tmp_path / "vault.yml"
    shutil.copy(project / "group_vars/web/vault.yml", file)
    vaults, passwords = VaultedValues(), named_passwords(str(project / ".vault_pass"), None)
    first = vaults.secrets([file], passwords, ENV)
    assert vaults.secrets([file], passwords, ENV) == first
    file.write_text("plain: text\n")
    assert vaults.secrets([file], passwords, ENV) == [Secret("vault_password", first[0].value)]
