"""Differences by design (docs/unchanged.md has the same table), what each project guards, and the short form."""

import re
from dataclasses import dataclass

from tests.unchanged.compare import Difference

MENDS = {
    "B1": "plays run in a copy, and files that they write on the controller are kept or named",
    "B2": "connection settings of ansible.cfg apply everywhere",
    "B3": "vaults, inventory programs and plugins have the settings of the project everywhere",
    "B4": "one resolution of the inventory for playbooks and suites",
    "B5": "the whole tree is packed, with what tests and imported playbooks need",
    "B6": "a prompt takes its default",
    "B7": "a host or a play that ends early does not fail the step",
    "B8": "each ansible.cfg applies in its own folder",
    "B9": "roles are found in configured paths and by names with a slash",
    "B10": "host patterns and group names are Ansible's",
    "B11": "work that runs once, or on the controller, runs as by hand",
    "B12": "archives are unpacked by playbooks only",
    "B13": "links and modes of the tree are kept",
    "B14": "options and settings of pytest work, and never count as a pass",
    "B15": "addresses and ports are those that Ansible resolves",
    "B16": "a Pulumi program is at the same path, so that nothing is updated twice",
    "B17": "the Python environment of a Pulumi project is the one that runs it",
    "B18": "the paths of the inventory are those of the user's files",
}
"""Undoing one of these makes each project fail whose README covers it."""


SHAPES = {
    "several plays": r"(?m)^(- |  )hosts: [\s\S]*^(- |  )hosts: ",
    "roles": r"(?m)^\S*/tasks/main\.yml$",
    "vault": r"\$ANSIBLE_VAULT",
    "group variables": r"(?m)^(\S*/)?group_vars/",
    "host variables": r"(?m)^(\S*/)?host_vars/",
    "imported playbooks": r"import_playbook: ",
    "delegation": r"delegate_to: |local_action",
    "handlers": r"notify: ",
    "custom plugins": r"(?m)^(\S*/)?(\w+_plugins|plugins|library|module_utils|inventory)/\S*\.py$",
    "a Pulumi program with a component": r"ComponentResource",
    "parent conftest": r"(?m)^(\S*)conftest\.py$[\s\S]*^\1\S+/(test_\w+|conftest)\.py$|^\S+/conftest\.py$",
}
"""The shapes of projects, each with what it is known by, in the paths of a project's files and in their texts."""


@dataclass(frozen=True)
class Row:
    """One difference by design: the row of the table, and the differences that it explains."""

    row: str
    about: str
    projects: tuple[str, ...] = ()


BY_DESIGN: tuple[Row, ...] = ()
PENDING: tuple[Row, ...] = ()
"""Differences that are not by design and not mended yet. Nothing may be added here; the list has to become empty."""

SHORT = ("modules-and-actions", "two-plays")
"""The projects that `make test` runs."""

LONGER = ("groups-of-groups", "vault-password-file")
"""The projects that `make long` runs besides. `make unchanged` runs the whole corpus."""


def by_design(project: str, difference: Difference) -> bool:
    """Whether a row of the table, or of those to be mended, explains *difference* of *project*."""
    return any(
        re.search(row.about, difference.about) is not None and (not row.projects or project in row.projects)
        for row in (*BY_DESIGN, *PENDING)
    )
