"""Paths with templates in them: whether what is known of one lies in a folder that is not in the package."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from orchestrator.adapters.archive.references import ROLE, Reference, candidates
from orchestrator.domain.errors import OrchestratorError

TEMPLATES = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
BESIDE = re.compile(r"^\{\{\s*(playbook_dir|role_path)\s*\}\}/+")  # where Ansible searches in any case
OF_INVENTORY = re.compile(r"\binventory_(dir|file)\b")  # files beside an inventory are not packed


def unpacked_folder(
    reference: Reference, file: Path, playbooks: list[Path], project: Path, taken: Collection[str], names: Iterable[str]
) -> OrchestratorError | None:
    """A warning (P124) if the known part of *reference*, named in *file*, lies in a folder that is not packed.

    *playbooks* are those of the release, *taken* the files of the *project* that are packed, and *names* all its files
    that Git would check out.
    """
    if reference.folder == ROLE:
        return None
    known = _begin(reference.path)
    if known:
        places = candidates(replace(reference, path=known), file, playbooks)
        folder = next((path for path in places if path.is_dir() and path.is_relative_to(project)), project)
        name = folder.relative_to(project).as_posix()
        lacking = name if name != "." and not any(path.startswith(f"{name}/") for path in taken) else None
    else:
        lacking = _folder_of(_end(reference.path), taken, names)
    if lacking is None:
        return None
    message = f"{reference.path!r} can lead to {lacking}/, and no file of this folder is in the package"
    hint = f"name {lacking} in `include` of release.yaml if the release needs it"
    return OrchestratorError("P124", message, where=reference.where, hint=hint)


def _begin(path: str) -> str:
    """The leading folder of *path*, as far as it is known; empty: it is not known."""
    return TEMPLATES.split(BESIDE.sub("", path))[0].rpartition("/")[0]


def _end(path: str) -> str:
    """The end of *path* from a whole name on, as far as it is known; empty: it is not known, or not in the project."""
    return "" if OF_INVENTORY.search(path) else TEMPLATES.split(path)[-1].partition("/")[2]


def _folder_of(end: str, taken: Collection[str], names: Iterable[str]) -> str | None:
    """The folder of a file that has this *end* and is not packed; None if no file has it or one is packed."""

    def fits(name: str) -> bool:
        return f"/{name}".endswith(f"/{end}")

    if not end or any(map(fits, taken)):
        return None
    return next((name.rpartition("/")[0] for name in sorted(names) if fits(name) and "/" in name), None)
