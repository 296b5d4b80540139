"""What `doctor` checks of the folders and files of a project, without opening it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchestrator.config import ENVIRONMENT, find_project, load_environments, load_project, state_folder
from orchestrator.domain.diagnosis import Check
from orchestrator.domain.errors import OrchestratorError
from orchestrator.resources import shortage

ROOMY = 500 * 2**20  # bytes: packages, logs and plans of a few promotions


def check_state(start: Path, environ: Mapping[str, str]) -> Check:
    """The state folder: who can read and write it, and its space."""
    try:
        folder = state_folder(find_project(start), environ)
    except OrchestratorError as error:
        remedy = error.hint or "become the owner of the folder above it"
        return Check(name="state folder", level="problem", says=error.message, remedy=remedy)
    if folder.stat().st_mode & 0o077:
        says = f"others may read {folder}, which holds secrets"
        return Check(name="state folder", level="problem", says=says, remedy=f"chmod 700 {folder}")
    if missing := shortage(folder):
        return Check(
            name="state folder", level="problem", says=missing, remedy="free disk space: until then no run starts"
        )
    free = shutil.disk_usage(folder).free
    if free < ROOMY:
        says = f"only {free // 2**20} MiB are free at {folder}"
        return Check(name="state folder", level="warning", says=says, remedy="make room before you promote")
    if not os.access(folder, os.W_OK):
        return Check(name="state folder", level="problem", says=f"{folder} cannot be written to", remedy="chown it")
    return Check(name="state folder", level="ok", says=f"{folder}, {free // 2**30} GiB free")


def check_folder(start: Path) -> Check:
    """The project's folder. Ansible ignores settings in a folder that every user may write to."""
    root = find_project(start)
    if root.stat().st_mode & 0o002:
        says = f"every user may write to {root}; Ansible ignores an ansible.cfg in such a folder"
        return Check(name="project folder", level="warning", says=says, remedy=f"chmod o-w {root}")
    return Check(name="project folder", level="ok", says=str(root))


def check_vaults(start: Path) -> Check:
    """The files with passwords of vaults, which stay in the project and are never packed."""
    root = find_project(start)
    for environment, folder in load_environments(root, load_project(root)).values():
        for vault in environment.ansible.vault_ids:
            path = vault.rpartition("@")[2]
            if path not in {"prompt", "prompt_ask_vault_pass"} and not (root / Path(path).expanduser()).exists():
                says = f"{environment.name} needs {path}, which does not exist"
                where = (folder / ENVIRONMENT).relative_to(root)
                remedy = f"create the file with the password, or correct ansible.vault_ids in {where}"
                return Check(name="vault passwords", level="problem", says=says, remedy=remedy)
    return Check(name="vault passwords", level="ok", says="every file that is named exists")


def check_ignored(start: Path) -> Check:
    """The state folder must not be committed: it holds the passphrase and the state of stacks."""
    root = find_project(start)
    words = ["git", "-C", str(root), "check-ignore", "-q", ".orchestrator/state.db"]
    inside = shutil.which("git") and subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--git-dir"], capture_output=True, check=False
    )
    if not inside or inside.returncode != 0 or subprocess.run(words, capture_output=True, check=False).returncode == 0:
        return Check(name="version control", level="ok", says="the state folder is not in it")
    remedy = "orchestrator init writes .orchestrator/.gitignore"
    return Check(name="version control", level="warning", says="git would add .orchestrator/", remedy=remedy)
