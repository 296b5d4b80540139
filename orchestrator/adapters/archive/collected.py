"""`pytest --collect-only` of every suite in an unpacked package, without credentials, for placeholder hosts."""

import json
import os
import re
import site
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.ansible.configuration import PASSED
from orchestrator.adapters.testinfra.sealed_settings import suite_root
from orchestrator.adapters.testinfra.suite_job import EMPTY, PLUGIN, inventory_listing, own_packages
from orchestrator.adapters.views import Views
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.errors import OrchestratorError, Where
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.job_event import has_shape, parsed
from orchestrator.domain.release import Release
from orchestrator.domain.text import clean_text
from orchestrator.domain.variables import inventory_document
from orchestrator.file_system import lines_of

TIMEOUT = 120.0  # seconds, for one suite
CREDENTIALS = {"HOME", "KRB5CCNAME", "SSH_AUTH_SOCK", "VAULT_ADDR", "VAULT_TOKEN"}
NO_TESTS, GOOD = 5, 0
AT = re.compile(r"^(?:E\s+File \"|(?=\S))(?P<file>[^\s:/\"][^\s:\"]*\.py)(?::|\", line )(?P<line>\d+)", re.MULTILINE)
WHY = re.compile(r"^E\s+(\S.*)$", re.MULTILINE)
ABSENT = re.compile(r"KeyError: '([^']+)'")
OF_VALUES = ("KeyError", "IndexError", "TypeError", "AttributeError", "ValueError")
AT_RUN_TIME = re.compile(r"ORCHESTRATOR_OUTPUTS_FILE|orchestrator_outputs|pulumi_outputs|get_variables")


@dataclass(frozen=True)
class Suite:
    """A suite of the release: a folder or file, and its arguments."""

    tests: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuiteCollection:
    """Collects the suites of one package.

    Args:
        content: the unpacked content.
        release: the release.
        inventory: the placeholder inventory.
        scratch: an empty folder for what pytest writes.
        environ: the environment variables of the controller.
        declared: the variables that environments of the release give to suites.
        views: what pytest finds of this machine; by default nothing but the content.
    """

    content: Path
    release: Release
    inventory: Inventory
    scratch: Path
    environ: Mapping[str, str]
    declared: Collection[str] = ()
    views: Views | None = None

    def problems(self) -> Iterator[OrchestratorError]:
        """What is wrong with each suite: P132 and P133, and P134 where only the run will show it."""
        suites = [Suite(item.tests, item.args) for item in self.release.verify]
        suites += [Suite(tests) for tests in self.release.suites() if tests not in {suite.tests for suite in suites}]
        with ThreadPoolExecutor(max_workers=2) as pool:
            for found in pool.map(self._suite, range(len(suites)), dict.fromkeys(suites)):
                if found is not None:
                    yield found

    def _suite(self, number: int, suite: Suite) -> OrchestratorError | None:
        folder = self.scratch / str(number)
        folder.mkdir(parents=True)
        (self.content.parent / EMPTY).touch()
        (folder / "hosts.json").write_text(json.dumps(inventory_document(self.inventory, {})))
        (folder / "inventory.list").write_text(json.dumps(inventory_listing(self.inventory, {})))
        (folder / "outputs.json").write_text("{}")
        (folder / "connections.json").write_text("{}")
        (folder / CONFIG_FILE).touch()
        try:
            views = self.views or Views(None, self.scratch, self.environ)
            done = views.run(
                self._command(suite, folder), views.of(write=[self.content.parent, folder]), cwd=self.content,
                env=self._env(folder), stderr=subprocess.STDOUT, timeout=TIMEOUT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _error("P132", suite, f"pytest took more than {TIMEOUT:.0f} s")
        text = clean_text(done.stdout.decode("utf-8", "replace"), None).replace(f"{self.content}/", "")
        events = (parsed(line) for line in lines_of(folder / "events.jsonl"))
        lines = [event for event in events if has_shape(event, {"kind": str, "message?": str})]
        return self._judged(suite, done.returncode, text, lines)

    def _judged(self, suite: Suite, code: int, text: str, events: list[dict[str, Any]]) -> OrchestratorError | None:
        refused = next((event["message"] for event in events if event["kind"] == "refused"), None)
        if refused is not None:
            return _error("P133", suite, refused.replace(f"{self.content}/", ""))
        if code == NO_TESTS:
            return _error("P132", suite, "it has no test")
        if code == GOOD:
            return None
        inside = [match for match in AT.finditer(text) if (self.content / match["file"]).is_file()]
        where = Where(inside[-1]["file"], int(inside[-1]["line"])) if inside else None
        message = _reason(text) or f"pytest ended with {code}"
        if where is not None and self._known_later(where, message):
            return _error("P134", suite, message, where)
        return _error("P132", suite, message, where)

    def _known_later(self, where: Where, message: str) -> bool:
        """Whether it failed by what only a run has: outputs, or variables that an environment declares."""
        if not message.startswith(OF_VALUES):  # a module that is absent is absent in a run as well
            return False
        absent = ABSENT.search(message)
        if absent is not None and absent[1] in self.declared:
            return True
        return bool(AT_RUN_TIME.search((self.content / where.file).read_text("utf-8", "replace")))

    def _command(self, suite: Suite, folder: Path) -> list[str]:
        root = suite_root(self.content, suite.tests)
        beside = self.content.parent  # a suite may have its settings and cache there, and nowhere else outside
        settings = root.words(self.content, beside / EMPTY, beside / f"cache-{folder.name}", suite.args)
        pytest = [sys.executable, "-P", "-m", "pytest", "-p", PLUGIN, "-q", "--collect-only", *settings]
        return [
            *pytest,
            suite.tests,
            "--connection=ansible",
            f"--ansible-inventory={folder / 'hosts.json'}",
            *suite.args,
        ]

    def _env(self, folder: Path) -> dict[str, str]:
        """As for a run, without what opens a door: no keys, no home folder, no variables that environments declare."""
        env = {name: self.environ[name] for name in PASSED if name in self.environ}
        source = str(folder / "hosts.json")
        return without_credentials(env, folder) | own_packages() | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), self.environ.get("PATH", os.defpath)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_CONFIG": str(folder / CONFIG_FILE),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_INVENTORY": source,
            "MOLECULE_INVENTORY_FILE": source,
            "ORCHESTRATOR_COLLECT": "1",
            "ORCHESTRATOR_JOB": str(folder),
            "ORCHESTRATOR_CONTENT": str(self.content),
            "ORCHESTRATOR_RELEASE": self.release.name,
            "ORCHESTRATOR_VERSION": self.release.version,
            "ORCHESTRATOR_DIGEST": f"sha256:{'0' * 64}",
            "ORCHESTRATOR_ENVIRONMENT": next(iter(self.release.environments)),
            "ORCHESTRATOR_RUN_ID": "build",
            "ORCHESTRATOR_OUTPUTS_FILE": str(folder / "outputs.json"),
            "ORCHESTRATOR_AGENT": "0",
            "ORCHESTRATOR_INVENTORY": source,
            "ORCHESTRATOR_INVENTORY_LIST": str(folder / "inventory.list"),
            "ORCHESTRATOR_CONNECTIONS": str(folder / "connections.json"),
        }  # fmt: skip


def without_credentials(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """*env* without agents, tokens and the home folder; an empty home folder in *folder* takes its place."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in env.items() if name not in CREDENTIALS}
    packages = {} if "PYTHONNOUSERSITE" in own_packages() else {"PYTHONUSERBASE": str(site.getuserbase())}
    return kept | packages | {"HOME": str(home)}


def _reason(text: str) -> str:
    """Why pytest has not collected the suite, by what it printed: its last error, otherwise its last line."""
    lines = text.splitlines()
    errors = WHY.findall(text) or [line for line in lines if "error:" in line.lower()]
    printed = errors or [line for line in lines if line.strip()]
    return str(printed[-1]).strip()[:500] if printed else ""


def _error(code: str, suite: Suite, why: str, where: Where | None = None) -> OrchestratorError:
    hint = f"pytest --collect-only {' '.join([suite.tests, *suite.args])} shows the same"
    return OrchestratorError(code, f"the suite {suite.tests}: {why}", where=where, hint=hint)
