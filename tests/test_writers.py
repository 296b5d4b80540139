"""Every place that writes is known, and passes the filter of secrets or has none to write."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "orchestrator"
TEXTS = {"write_text", "write_bytes", "write_whole", "mkstemp", "NamedTemporaryFile", "TemporaryFile"}
NEW = {"O_WRONLY", "O_RDWR", "O_CREAT"}

FILTER = {
    "engine/job_output.py": "the filter itself, for what jobs print and report",
    "engine/masked_files.py": "the filter itself, for what jobs leave",
    "adapters/database/masking.py": "the filter itself, for every statement to a database",
    "cli/output.py": "the filter itself, for the terminal and for JSON",
    "cli/commands/release.py": "writes a timeline that `output.masked` gives",
    "cli/commands/report.py": "writes a report that `output.masked` gives",
    "cli/view.py": "prints what `output.writable` gives",
    "cli/report.py": "masks the traceback of a crash",
    "engine/worker.py": "masks the last words of a worker's process",
}
JOB = {
    "adapters/ansible/child.py": "writes into the pipes of its supervisor; its answer is masked when it ends",
    "adapters/gates/probe_child.py": "writes into the pipe of its supervisor",
    "adapters/pulumi/child.py": "writes into the pipes of its supervisor; its answer is masked when it ends",
    "adapters/pulumi/printed.py": "writes into the pipe of its supervisor",
    "adapters/pulumi/stack.py": "prints into the pipe of its supervisor",
    "adapters/testinfra/plugin.py": "writes into the pipe of its supervisor",
    "adapters/testinfra/agent.py": "answers over a connection, not to a file",
    "adapters/testinfra/connections.py": "speaks over a connection, not to a file",
    "engine/supervisor.py": "writes how a job ended, in words of ours; a failure to start goes through the filter",
}
INPUT = {
    "isolation/namespaces.py": "lays the mounts of a process, and its secret files in memory",
    "isolation/start.py": "gives secret files to a process in memory",
    "engine/jobs.py": "lays what a job is given; secret files are removed with the job",
    "adapters/ansible/handlers.py": "changes a playbook in the copy of a job",
    "adapters/ansible/prompts.py": "lays a program without data",
    "adapters/ansible/resolution.py": "lays an inventory for one question, and removes it",
    "adapters/archive/collected.py": "lays an inventory without hosts' secrets for a check of the build",
    "adapters/archive/galaxy.py": "lays requirements for `ansible-galaxy`, and removes them",
    "adapters/archive/proof.py": "lays what a check of the build is given, without secrets",
    "adapters/pulumi/recovery.py": "lays a state whose secrets are encrypted, and removes it",
    "adapters/pulumi/workspace.py": "lays the copy of a program, with its encrypted configuration",
}
CONTENT = {
    "adapters/ansible/kept_files.py": "keeps declared controller files, which plays must find unchanged",
    "adapters/ansible/shared_files.py": "shares controller files, encrypted",
    "adapters/ansible/controller_files.py": "lists names and sizes",
    "adapters/archive/definition_cache.py": "unpacks project definitions by their digest",
    "adapters/archive/galaxy_lock.py": "writes names, versions and sources as the requirements have them, and digests",
    "adapters/archive/packages.py": "keeps packages by their digest",
    "adapters/archive/replaced_file.py": "writes packages, which are kept by their digest",
    "adapters/archive/unpacked.py": "unpacks packages by their digest",
    "adapters/upload_files.py": "keeps parts of packages, which are verified by their digest",
    "adapters/artifacts/folder.py": "keeps content by its digest",
    "adapters/artifacts/verified.py": "keeps content by its digest",
    "adapters/backup/databases.py": "loads a dump of a database, whose text was masked when it was written",
    "adapters/backup/restore.py": "restores what a backup has",
    "adapters/backup/take.py": "copies what is on disk, which was masked when it was written",
    "adapters/profile_file.py": "keeps tokens that the user gives, in a file for the user alone",
    "adapters/pulumi/definition.py": "keeps definitions by their digest",
    "adapters/pulumi/definition_archive.py": "shares definitions by their digest",
    "planning/evidence.py": "writes evidence, which was masked before its digest was made",
    "planning/plan_store.py": "writes plans, which were masked before their digests were made",
    "cli/commands/plan.py": "writes a plan, which was masked before its digest was made",
    "app/run_output.py": "copies files that were masked when their job ended",
    "config/scaffold.py": "writes the files of a new project",
}
OWN = {
    "adapters/ansible/control.py": "writes a random word for the name of a folder",
    "engine/serving.py": "wakes a thread",
    "adapters/database/engine.py": "makes an empty file",
    "adapters/gates/prober.py": "takes a lock",
    "adapters/memory/provisioner.py": "is for tests",
    "file_system.py": "writes what its callers give it, each of which is named here",
    "adapters/withheld.py": "writes which secrets a restored state lacks, by their names",
    "adapters/project_key.py": "writes keys, for their owner only",
    "adapters/pulumi/engine.py": "builds the engine",
    "adapters/pulumi/engine_archive.py": "unpacks the engine",
    "adapters/pulumi/settings.py": "writes a passphrase, for its owner only",
    "adapters/pulumi/trace.py": "writes which operation runs, with names of resources",
    "engine_wiring.py": "starts a process whose output passes the filter there",
    "engine/durable.py": "takes locks",
    "adapters/audit_head.py": "writes an index and a code of the audit stream",
    "cli/commands/implementation.py": "writes a file of evidence, which was masked before its digest was made",
    "cli/commands/audit.py": "writes an export of the audit stream",
    "cli/commands/calendar.py": "writes a calendar",
    "cli/commands/token.py": "prints a new token once, to the user who made it",
    "cli/commands/hook.py": "prints the secret of a new hook once, to the user who made it",
    "cli/commands/notifications.py": "prints the secret of a new rule once, to the user who made it",
    "web/pages/dossier.py": "writes an export of the audit stream, which is removed when it was sent",
    "flow/prune.py": "takes locks, and marks executed plans",
    "engine/ownership.py": "writes a time",
    "hosts/loopback.py": "makes hosts on this machine",
    "hosts/sshd.py": "makes hosts on this machine",
}
KNOWN = {**FILTER, **JOB, **INPUT, **CONTENT, **OWN}


def _modes(call: ast.Call) -> Iterator[str]:
    for value in [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and set(value.value) <= set("rwaxbt+"):
            yield value.value


def writes(call: ast.Call) -> bool:
    """Whether *call* makes or opens a file to write, writes to a descriptor, or prints."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
    if name in TEXTS or (name == "print" and not owner) or (owner, name) in {("click", "echo"), ("json", "dump")}:
        return True
    if (owner == "shutil" and name.startswith("copy")) or (owner, name) == ("os", "write"):
        return True
    if (owner, name) == ("os", "open"):
        return any(getattr(part, "attr", "") in NEW for word in call.args for part in ast.walk(word))
    return name in {"open", "fdopen"} and any(set(mode) & set("wax+") for mode in _modes(call))


def writers() -> dict[str, list[int]]:
    """The files of the program that write, with the lines."""
    found: dict[str, list[int]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(("ansible/", "templates/")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and writes(node):
                found.setdefault(name, []).append(node.lineno)
    return found


def test_every_writer_is_known() -> None:
    """A place that writes is named above, with why no secret can be in clear there; add a new one with its reason."""
    new = {name: lines for name, lines in writers().items() if name not in KNOWN}
    assert not new


def test_known_writers_exist() -> None:
    """No reason is given for a file that does not write, but for the filter of databases, which changes what others do."""
    assert set(KNOWN) - set(writers()) == {"adapters/database/masking.py"}


@pytest.mark.parametrize("name", sorted(FILTER))
def test_what_passes_the_filter_uses_it(name: str) -> None:
    """A file that is said to mask what it writes calls the filter."""
    text = (ROOT / name).read_text(encoding="utf-8")
    words = ("process_secrets()", "mask_text(", "redactor", "secrets.json", "output.writable", "self.json(", "masked(")
    assert any(word in text for word in words)


def test_databases_are_opened_behind_the_filter() -> None:
    """Whoever opens the journal or the engine's records has put the filter before all databases."""
    text = (ROOT / "storage_wiring.py").read_text(encoding="utf-8")
    opened = text.index("DatabaseStore(self.store_url")
    assert "mask_databases()" in text[:opened]
    assert text.count("create_engine(") == 0
    made = [  # the second one is in memory, and compares schemas
        path for path in sorted(ROOT.rglob("*.py"))
        if "create_engine(" in path.read_text(encoding="utf-8") and "migrations" not in path.parts
    ]  # fmt: skip
    assert [path.relative_to(ROOT).as_posix() for path in made] == [
        "adapters/database/engine.py",
        "adapters/database/schema_list.py",
    ]
