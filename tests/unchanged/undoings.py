"""What each mend did, as an edit that undoes it, and the projects which must not be the same without it.

Each line of `known.MENDS` that is a change of the product has at least one. An edit replaces a text that is in its
file once. `test_undoings.py` verifies that each edit still fits the product.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.unchanged.known import MENDS
from tests.unchanged.project import corpus

ANSIBLE = "orchestrator/adapters/ansible"
ARCHIVE = "orchestrator/adapters/archive"
TESTINFRA = "orchestrator/adapters/testinfra"
PULUMI = "orchestrator/adapters/pulumi"


@dataclass(frozen=True)
class Undoing:
    """One mend undone.

    Attributes:
        name: what happens without the mend.
        line: the line of `known.MENDS` that the mend belongs to.
        file: the file of the product that is edited.
        old: the text that is replaced; it is in the file once.
        new: what takes its place.
        projects: the projects that must differ, or be refused.
    """

    name: str
    line: str
    file: str
    old: str
    new: str
    projects: tuple[str, ...]


UNDOINGS = (
    Undoing(
        "plays run in the kept package, and what they write there is not taken",
        "B1",
        f"{ANSIBLE}/play.py",
        "        if request.package is None:\n            return None\n        new =",
        "        return None\n        new =",
        ("log-and-fetch",),
    ),
    Undoing(
        "ansible-runner replaces the fact cache of the project by its own",
        "B1",
        f"{ANSIBLE}/child.py",
        '        "fact_cache_type": "none",',
        "       ",
        ("fact-cache",),
    ),
    Undoing(
        "declared controller files are not kept",
        "B1",
        f"{ANSIBLE}/kept_files.py",
        "return secret_files.is_below_any(self._declared, path)",
        "return not path",
        ("kept-passwords",),
    ),
    Undoing(
        "the callbacks of the project are hidden by those of ansible-runner",
        "B1",
        f"{ANSIBLE}/configuration.py",
        'self._beside(CALLBACKS, "callback_plugins") or [str(self.folder / "callback_plugins")]',
        "[]",
        ("lookups-and-callbacks",),
    ),
    Undoing(
        "host inspections have no connection settings of ansible.cfg",
        "B2",
        f"{ANSIBLE}/configuration.py",
        "effective.without_code()\n        effective.take(source, transport=True)",
        "effective.without_code()",
        ("connection-in-settings",),
    ),
    Undoing(
        "plays have no connection settings of ansible.cfg",
        "B2",
        f"{ANSIBLE}/configuration.py",
        "effective.take(current or sealed, transport=True)",
        "pass",
        ("connection-in-settings",),
    ),
    Undoing(
        "vault identities are looked for in the package",
        "B3",
        "orchestrator/domain/configuration.py",
        '    "vault_identity_list": ("defaults", "vault_identity_list"),\n',
        "",
        ("vault-identities",),
    ),
    Undoing(
        "the password file of vaults is looked for in the package",
        "B3",
        "orchestrator/domain/configuration.py",
        '    "vault_password_file": ("defaults", "vault_password_file"),\n',
        "",
        ("vault-password-file",),
    ),
    Undoing(
        "Ansible is not given the variables that the environment declares",
        "B3",
        f"{ANSIBLE}/configuration.py",
        "allowed = self.views.passed({*PASSED, ASKED}, declared)",
        "allowed = self.views.passed({*PASSED, ASKED}, ())",
        ("inventory-script",),
    ),
    Undoing(
        "suites see the variables of hosts, and not those of groups",
        "B4",
        f"{TESTINFRA}/suite_job.py",
        "{host: {**variables, **known.get(host, {})} for host in hosts}",
        "{host: {**variables, **hosts[host]} for host in hosts}",
        ("groups-of-groups",),
    ),
    Undoing(
        "our variables have names that roles have as well",
        "B4",
        "orchestrator/domain/variables.py",
        "    if package is None or package.manifest.format > 1:\n",
        "    if package is None:\n",
        ("roles-and-dependencies",),
    ),
    Undoing(
        "only what playbooks name literally is packed",
        "B5",
        f"{ARCHIVE}/gather.py",
        "for name in sorted(tree.taken):\n        gathered.add",
        "for name in sorted(tree.named):\n        gathered.add",
        ("imported-playbooks", "modules-and-actions"),
    ),
    Undoing(
        "fixtures above the folder of the suite are not found",
        "B5",
        f"{TESTINFRA}/suite_job.py",
        'self._suite.tests, "--connection=ansible",',
        'self._suite.tests, f"--confcutdir={content / self._suite.tests}", "--connection=ansible",',
        ("two-plays",),
    ),
    Undoing(
        "a prompt that has a default ends the play",
        "B6",
        f"{ANSIBLE}/prompts.py",
        'if kind == "playbook_on_vars_prompt" and data.get("default") is None:',
        'if kind == "playbook_on_vars_prompt":',
        ("prompts-with-defaults",),
    ),
    Undoing(
        "a prompt that has a default is refused at build",
        "B6",
        f"{ARCHIVE}/checks.py",
        'prompt.get("default") is None and prompt.get("name") not in given',
        'prompt.get("name") not in given',
        ("prompts-with-defaults",),
    ),
    Undoing(
        "a play that stopped early is good when no host failed in it",
        "B7",
        f"{ANSIBLE}/verdict.py",
        "    hosts = {host: _host(end, host) for host in end.limit}\n"
        "    outside = _outside(end)\n    code = _code(end, hosts, outside)\n",
        "    dark = [host for host in end.limit if end.count('dark', host)]\n"
        "    hosts = {host: Outcome.UNKNOWN if host in dark else Outcome.SUCCEEDED for host in end.limit}\n"
        "    outside, code = {}, ''\n",
        ("stops-on-errors",),
    ),
    Undoing(
        "a host that a guard let go is bad, as it did not do the last play",
        "B7",
        f"{ANSIBLE}/verdict.py",
        "host not in end.closed:",
        'end.count("ok", host) < max(end.stats.get("ok", {}).values()):',
        ("guards",),
    ),
    Undoing(
        "ansible.cfg counts at the root of the project only",
        "B8",
        "orchestrator/domain/configuration.py",
        '        if f"{folder}/{CONFIG_FILE}" in files:\n',
        "        if not files:\n",
        ("settings-in-a-subfolder", "two-settings-files"),
    ),
    Undoing(
        "the inventory is read without the settings that say how",
        "B8",
        f"{ANSIBLE}/configuration.py",
        "effective.take(source, transport=False)\n        effective.without_code()",
        "effective.without_code()",
        ("inventory-with-leftovers",),
    ),
    Undoing(
        "roles are found in roles/ only",
        "B9",
        f"{ANSIBLE}/configuration.py",
        'self._with_packed(ROLES, "roles") or [str(self.folder / "roles")]',
        '[str(self.folder / "roles")]',
        ("role-paths", "settings-in-a-subfolder"),
    ),
    Undoing(
        "an installed role that Git ignores is not packed",
        "B9",
        f"{ARCHIVE}/gather.py",
        "for folder in sorted(folders):\n            _from_project(gathered, tree, kind, folder)",
        "pass",
        ("role-paths",),
    ),
    Undoing(
        "a regular expression is no host pattern",
        "B10",
        "orchestrator/domain/patterns.py",
        'self.name[1:] if self.name.startswith("~") else fnmatch.translate(self.name)',
        "fnmatch.translate(self.name)",
        ("host-patterns",),
    ),
    Undoing(
        "plays run on the hosts of the inventory only: neither on localhost nor on hosts that are added",
        "B11",
        f"{ANSIBLE}/play.py",
        "    if request.package is None:\n        return list(play.limit)",
        "    if not inventory.files or play.limit:\n        return list(play.limit)",
        ("localhost-first",),
    ),
    Undoing(
        "work that is to be done once is done in each batch",
        "B11",
        "orchestrator/domain/once_tags.py",
        "return (*(self.first if number > 1 else ()), *(self.last if number < count else ()))",
        "return () if number and count else self.tags",
        ("batches-with-once",),
    ),
    Undoing(
        "the modes of packed files are not kept",
        "B13",
        f"{ARCHIVE}/unpacked.py",
        "executable = bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)",
        "executable = False",
        ("archives-and-programs",),
    ),
    Undoing(
        "links of the tree are left out",
        "B13",
        f"{ARCHIVE}/gather.py",
        "for name in sorted(tree.taken):\n        gathered.add",
        "for name in (name for name in sorted(tree.taken) if not (project / name).is_symlink()):\n        gathered.add",
        ("links-in-the-tree",),
    ),
    Undoing(
        "suites have no settings of pytest",
        "B14",
        f"{TESTINFRA}/sealed_settings.py",
        "        if found is not None:\n            return SuiteRoot(folder, found)",
        "        if found is not None:\n            return SuiteRoot(folder, None)",
        ("test-packages",),
    ),
    Undoing(
        "addresses that are templates are taken as they are written",
        "B15",
        f"{ANSIBLE}/resolution.py",
        'if not set(own) <= set(PLAIN) or any("{" in str(value) for value in own.values()):',
        "if False:",
        ("addresses-by-template",),
    ),
    Undoing(
        "a program runs in a copy, and Pulumi sees the paths of that",
        "B16",
        f"{PULUMI}/python_path/sitecustomize.py",
        "        path = _project + path[len(_copy) :]",
        "        path = str(path)",
        ("pulumi-dynamic-provider",),
    ),
    Undoing(
        "a program has its own files only",
        "B16",
        f"{PULUMI}/definition.py",
        "return {**surroundings(self.project, self.place, own.values(), reads, state), **own}",
        "return own",
        ("pulumi-component",),
    ),
    Undoing(
        "a program runs with our own Python",
        "B17",
        f"{PULUMI}/settings.py",
        "    if virtual is not None:\n",
        "    if virtual is None:\n        virtual = None\n    elif not path:\n",
        ("pulumi-virtualenv",),
    ),
    Undoing(
        "the inventory of a play lies in the folder of its job",
        "B18",
        f"{ANSIBLE}/play.py",
        "*self._sources(inventory, folder)],",
        "*(shutil.copy(each, folder) for each in self._sources(inventory, folder))],",
        ("inventory-places",),
    ),
)

WITHOUT = {"B12": "archives are artifacts, which no playbook has by hand; `tests/adapters/archive` tests them"}
"""Lines of `known.MENDS` that nothing here undoes, with the reason."""


def coverage() -> Iterator[str]:
    """The documented table: each line, how many of its mends are undone, and the projects that cover it."""
    yield "| line | behaviour | fixes that are reverted | projects |"
    yield "| --- | --- | --- | --- |"
    for line, behaviour in MENDS.items():
        names = ", ".join(f"`{project.name}`" for project in corpus() if line in project.covers)
        count = sum(undoing.line == line for undoing in UNDOINGS)
        yield f"| {line} | {behaviour} | {count} | {names} |"
