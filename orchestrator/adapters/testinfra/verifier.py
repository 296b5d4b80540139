"""The `Verifier` port: a suite as its authors wrote it, with every result told as it comes."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.domain.context import Context
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import SuiteSpec
from orchestrator.domain.release import Package
from orchestrator.domain.step import HostResult, Outcome, StepResult, TestResult, worst
from orchestrator.domain.text import clean_text, counted
from orchestrator.domain.variables import inventory_document, lowest
from orchestrator.ports import Emit, Job, JobOutcome, Jobs

PASSED = (
    "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "http_proxy", "https_proxy",
    "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "VAULT_ADDR", "VAULT_TOKEN",
)  # fmt: skip
PLUGIN = "orchestrator.adapters.testinfra.plugin"
NOTHING_COLLECTED = 5
OnEvent = Callable[[int, dict[str, Any]], None]


class TestinfraVerifier:
    """Suites of release packages against the hosts of an environment.

    Args:
        jobs: runs the suites.
        environ: the user's environment variables.
        cache: a folder for compiled code; nothing is written beside the suites.
        persistent: keep one connection open to each host; the results are the same without.
    """

    __test__ = False  # not a pytest class

    def __init__(self, jobs: Jobs, environ: Mapping[str, str], cache: Path, *, persistent: bool = True) -> None:
        self._jobs, self._environ, self._cache, self._persistent = jobs, environ, cache, persistent

    def verify(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Look who is there, then run the suite against those that are.

        A suite that, limited to some hosts, has no test for them is *skipped* there when it has tests for others.
        """
        if package.root is None:
            raise RuntimeError("the package is not unpacked")
        wanted = list(suite.limit or inventory.hosts)
        gone = [host for host, there in _reachable(inventory, wanted, self._environ).items() if not there]
        here = [host for host in wanted if host not in gone]
        tally = Tally(suite.name, emit, job)
        others = set(inventory.hosts) - set(wanted)
        env = {"ORCHESTRATOR_OTHERS": json.dumps(sorted(others))}
        run = narrowed(inventory, here), context, job, tally.take, env
        outcome = self._run(suite, package, *run) if here else None
        if outcome and others and not gone and tally.found_nothing(outcome):
            meant = self._meant(suite, package, inventory, context, f"{job}.elsewhere")
            return tally.elsewhere(outcome, here) if others & meant else tally.result(outcome, here, gone)
        return tally.result(outcome, here, gone)

    def _meant(
        self, suite: SuiteSpec, package: Package, inventory: Inventory, context: Context, job: str
    ) -> frozenset[str]:
        """The hosts of the whole environment that the suite has tests for; it is collected and not run."""
        hosts: list[str] = []
        collecting = suite.model_copy(update={"args": (*suite.args, "--collect-only")})
        self._run(
            collecting, package, inventory, context, job, lambda _, event: hosts.extend(event.get("hosts", ())), {}
        )
        return frozenset(hosts)

    def _run(
        self,
        suite: SuiteSpec,
        package: Package,
        inventory: Inventory,
        context: Context,
        job: str,
        take: OnEvent,
        more: Mapping[str, str],
    ) -> JobOutcome:
        folder, content = self._jobs.folder(job), Path(str(package.root))
        variables = lowest(package, None, context)
        files = {
            "inventory/hosts.json": json.dumps(inventory_document(inventory, variables)).encode(),
            "inventory.list": json.dumps(listed(inventory, variables)).encode(),
            "outputs.json": json.dumps(dict(context.outputs.plain)).encode(),
        }
        hosts = folder / "inventory" / "hosts.json"
        source = f"--ansible-inventory={hosts.parent if inventory.files else hosts}"
        pytest = (sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", "-q")
        argv = (*pytest, suite.tests, "--connection=ansible", source, *suite.args)
        wanted = Job(
            key=job,
            argv=argv,
            env={**self._env(folder, content, package, context, inventory), **more},
            cwd=content,
            files=files,
            timeout=suite.timeout,
        )
        _link_files(folder, inventory)
        try:
            return self._jobs.run(wanted, take)
        finally:
            for name in files:
                (folder / name).unlink(missing_ok=True)

    def _env(
        self, folder: Path, content: Path, package: Package, context: Context, inventory: Inventory
    ) -> dict[str, str]:
        allowed = {*PASSED, *context.settings.environment}
        env = {name: value for name, value in self._environ.items() if name in allowed or name.startswith("TESTINFRA_")}
        where = folder / "inventory" if inventory.files else folder / "inventory" / "hosts.json"
        packages = Path(__file__).resolve().parents[3]
        env |= {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), self._environ.get("PATH", os.defpath)]),
            "PYTHONPYCACHEPREFIX": str(self._cache),  # pytest rewrites plugins at each start where it may keep nothing
            "PYTHONUNBUFFERED": "1",
            "ANSIBLE_INVENTORY": str(where),
            "MOLECULE_INVENTORY_FILE": str(where),
            "ANSIBLE_HOST_KEY_CHECKING": str(context.settings.host_key_checking),
            "ORCHESTRATOR_CONTENT": str(content),
            "ORCHESTRATOR_RELEASE": package.ref.name,
            "ORCHESTRATOR_VERSION": package.ref.version,
            "ORCHESTRATOR_DIGEST": package.digest,
            "ORCHESTRATOR_ENVIRONMENT": context.environment,
            "ORCHESTRATOR_RUN_ID": context.run,
            "ORCHESTRATOR_OUTPUTS_FILE": str(folder / "outputs.json"),
            "ORCHESTRATOR_AGENT": "1" if self._persistent else "0",
        }
        env |= {"ORCHESTRATOR_INVENTORY": str(where), "ORCHESTRATOR_HOSTS": json.dumps(list(inventory.hosts))}
        if not inventory.files:
            env["ORCHESTRATOR_INVENTORY_LIST"] = str(folder / "inventory.list")
        if (packages / "pyproject.toml").is_file():
            env["PYTHONPATH"] = str(packages)
        return env


def narrowed(inventory: Inventory, hosts: list[str]) -> Inventory:
    """*inventory* with no other hosts than *hosts*; groups and variables stay."""
    kept = set(hosts)
    groups = {
        name: group.model_copy(update={"hosts": tuple(host for host in group.hosts if host in kept)})
        for name, group in inventory.groups.items()
    }
    return inventory.model_copy(update={"hosts": {host: inventory.hosts[host] for host in hosts}, "groups": groups})


def listed(inventory: Inventory, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What `ansible-inventory --list` would print of *inventory*, with *variables* for all hosts."""
    hostvars: dict[str, dict[str, Any]] = {}
    special = inventory.groups.get("all", Group()).vars
    for host, own in inventory.hosts.items():
        found = {**variables, **special}
        for name, group in inventory.groups.items():
            if name != "all" and host in inventory.members(name):
                found |= group.vars
        hostvars[host] = {**found, **own}
    shaped: dict[str, Any] = {
        name: {"hosts": list(group.hosts), "children": list(group.children)} for name, group in inventory.groups.items()
    }
    grouped = [name for name in inventory.groups if name != "all"]
    shaped["all"] = {"children": ["ungrouped", *grouped]}
    shaped["ungrouped"] = {"hosts": inventory.members("ungrouped")}
    return {"_meta": {"hostvars": hostvars}, **shaped}


def _link_files(folder: Path, inventory: Inventory) -> None:
    """Let the inventory folder lead to the user's own inventory files, and to the variables beside them."""
    target = folder / "inventory"
    for number, file in enumerate(inventory.files):
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = Path(file)
        sources = [path] if path.is_file() else sorted(path.iterdir())
        beside = [path.parent / name for name in ("group_vars", "host_vars")] if path.is_file() else []
        for source in [*sources, *(item for item in beside if item.is_dir())]:
            name = source.name if source.is_dir() else f"{20 + number}-{source.name}"
            with contextlib.suppress(FileExistsError):
                (target / name).symlink_to(source)


# -- who is there --------------------------------------------------------------------------------------------------


def _reachable(inventory: Inventory, hosts: list[str], environ: Mapping[str, str]) -> dict[str, bool]:
    """Whether each host answers, all asked side by side. A host that we cannot judge counts as there."""
    if not hosts:
        return {}
    with ThreadPoolExecutor(max_workers=min(32, len(hosts))) as pool:
        return dict(
            zip(hosts, pool.map(lambda host: _answers(inventory.hosts.get(host, {}), environ), hosts), strict=True)
        )


def _answers(variables: dict[str, Any], environ: Mapping[str, str]) -> bool:
    connection = str(variables.get("ansible_connection", "ssh"))
    address, port = variables.get("ansible_host"), variables.get("ansible_port", 22)
    indirect = "Proxy" in f"{variables.get('ansible_ssh_common_args', '')}{variables.get('ansible_ssh_extra_args', '')}"
    if not connection.endswith("ssh") or address is None or "{{" in f"{address}{port}" or indirect:
        return True  # reached in a way that only Ansible knows
    try:
        with socket.create_connection((str(address), int(port)), timeout=10) as link:
            link.settimeout(10)
            return link.recv(4) == b"SSH-"
    except (OSError, ValueError):
        return _by_name(str(address), environ)


def _by_name(address: str, environ: Mapping[str, str]) -> bool:
    """A name that only the user's ssh configuration knows is asked through ssh itself."""
    with contextlib.suppress(OSError):
        socket.getaddrinfo(address, None)
        return False
    words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", address, "true"]
    done = subprocess.run(words, capture_output=True, check=False, env=dict(environ), stdin=subprocess.DEVNULL)
    return done.returncode == 0


# -- what came of it -----------------------------------------------------------------------------------------------


class Tally:
    """The results of a suite, as they come."""

    __test__ = False

    def __init__(self, suite: str, emit: Emit, job: str) -> None:
        self._suite, self._emit, self._job = suite, emit, job
        self.tests: list[TestResult] = []
        self.broken: list[str] = []
        self.flaky: list[str] = []
        self.end: dict[str, Any] | None = None
        self.expected = self.nobody = 0

    def take(self, number: int, event: dict[str, Any]) -> None:
        """Take one event of the child."""
        key = f"{self._job}:{number}"
        if event["kind"] == "end":
            self.end = event
            return
        if event["kind"] == "collect":
            text = clean_text(event["message"], 4000)
            self.broken.append(f"{event['name']}: {_last(text)}")
            data = {"level": "error", "text": text}
            self._emit(Entry(kind="notice", step=self._suite, data=data, key=key))
            return
        result = TestResult(
            name=clean_text(event["name"], 500),
            host=clean_text(event["host"], 255),
            outcome=Outcome(event["outcome"]),
            duration=float(event["duration"]),
            message=clean_text(event["message"], 4000),
            where=clean_text(event["where"], 500),
        )
        if event["reruns"] and result.outcome is Outcome.SUCCEEDED:
            self.flaky.append(f"{result.name} on {result.host}")
        self.expected += bool(event["expected"])
        self.nobody += bool(event["nobody"])
        self.tests.append(result)
        self._emit(Entry(kind="test", step=self._suite, host=result.host, data=result.to_json(), key=key))

    def found_nothing(self, outcome: JobOutcome) -> bool:
        """Whether pytest came to its end and had no test at all for the hosts that it was given."""
        ended = outcome.how == "exited" and outcome.code in (0, NOTHING_COLLECTED) and self.end is not None
        return ended and not self.broken and len(self.tests) == self.nobody

    def elsewhere(self, outcome: JobOutcome, here: list[str]) -> StepResult:
        """The result of a suite that is about other hosts than these."""
        about: dict[str, Any] = {"tests": tuple(self.tests), "hosts": self._hosts(here, [])}
        message = "has no test for these hosts, only for others of the environment"
        log = str(outcome.folder)
        return StepResult(outcome=Outcome.SKIPPED, message=message, log=log, seconds=outcome.seconds, **about)

    def result(self, outcome: JobOutcome | None, here: list[str], gone: list[str]) -> StepResult:
        """The suite's result: the worst of its tests, of the hosts that are gone, and of how pytest ended."""
        about: dict[str, Any] = {"tests": tuple(self.tests), "hosts": self._hosts(here, gone)}
        unseen = [Outcome.UNKNOWN] * bool(gone)
        missing = f"cannot be reached: {', '.join(gone)}" if gone else ""
        if outcome is None:
            data = {"code": "V103"}
            return StepResult(outcome=Outcome.UNKNOWN, message=missing, data=data, **about)
        ended, message, code = self._ended(outcome)
        if gone and code == "V102":  # perhaps it has tests for those that nobody could look at
            message, code = "", "V103"
        found = worst([ended, *unseen, *(test.outcome for test in self.tests if not test.outcome.good)])
        facts: dict[str, Any] = {"flaky": self.flaky} if found.good else {"flaky": self.flaky, "code": code or "V103"}
        if outcome.how != "exited" or (outcome.code or 0) < 0:
            facts["how"] = outcome.how if outcome.how != "exited" else "lost"
        text = "; ".join(part for part in (message, missing) if part)
        log = str(outcome.folder)
        return StepResult(outcome=found, message=text, log=log, seconds=outcome.seconds, data=facts, **about)

    def _ended(self, outcome: JobOutcome) -> tuple[Outcome, str, str]:
        """How pytest ended, as an outcome, a sentence and a code."""
        if outcome.how == "timeout":
            text = f"timed out after {outcome.seconds:.0f} s, {len(self.tests)} tests had ended"
            return Outcome.ERRORED, text, "V104"
        if outcome.how != "exited":
            return Outcome.ERRORED, f"pytest {'died' if outcome.how == 'lost' else 'was stopped'}", "V105"
        if self.broken:
            return Outcome.ERRORED, f"could not be collected: {self.broken[0]}", "V106"
        return self._passed(outcome)

    def _passed(self, outcome: JobOutcome) -> tuple[Outcome, str, str]:
        """Whether a pytest that ran to its end has proved something."""
        bad = [test for test in self.tests if not test.outcome.good]
        nothing = outcome.code == NOTHING_COLLECTED or not any(test.outcome is Outcome.SUCCEEDED for test in self.tests)
        if self.end is None and (outcome.code == 0 or self.tests):
            text = f"pytest ended in the middle of its session, {counted(len(self.tests), 'test')} had ended"
            return Outcome.ERRORED, text, "V105"
        if bad:
            return self._bad(bad)
        if nothing and outcome.code in (0, NOTHING_COLLECTED):
            return Outcome.FAILED, "no test was run: a suite that proves nothing does not pass", "V102"
        if outcome.code != 0:
            return Outcome.ERRORED, f"pytest ended with {outcome.code}: {_output(outcome.folder)}", "V105"
        left = self.end["collected"] - self.end["told"] if self.end else 0
        if left > 0:
            return Outcome.ERRORED, f"pytest ended without an error, and left {counted(left, 'test')} out", "V105"
        return Outcome.SUCCEEDED, self._counts(), ""

    def _bad(self, bad: list[TestResult]) -> tuple[Outcome, str, str]:
        """The verdict over tests that are not good: the worst of them, told by the first that is so."""
        found = worst(test.outcome for test in bad)
        first = next(test for test in bad if test.outcome is found)
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        text = f"{first.name.rpartition('::')[2]} on {first.host or 'no host'}: {_first(first.message)}{more}"
        return found, text, {Outcome.UNKNOWN: "V103", Outcome.ERRORED: "V107"}.get(found, "V101")

    def _counts(self) -> str:
        """How many tests passed, and how many did not have to."""
        passed = sum(test.outcome is Outcome.SUCCEEDED for test in self.tests)
        skipped = len(self.tests) - passed - self.expected
        parts = [f"{counted(passed, 'test')} passed"]
        parts += [f"{skipped} skipped"] if skipped else []
        parts += [f"{self.expected} failed as expected"] if self.expected else []
        return ", ".join(parts)

    def _hosts(self, here: list[str], gone: list[str]) -> tuple[HostResult, ...]:
        by_host: dict[str, list[TestResult]] = {host: [] for host in here}
        for test in self.tests:
            by_host.setdefault(test.host, []).append(test)
        seen = [
            HostResult(host=host, outcome=_verdict(test.outcome for test in by_host[host]), touched=False)
            for host in here
        ]
        lost = [
            HostResult(host=host, outcome=Outcome.UNKNOWN, touched=False, message="cannot be reached") for host in gone
        ]
        return (*seen, *lost)


def _verdict(outcomes: Iterable[Outcome]) -> Outcome:
    """What tests say together: the worst that is not good; else *succeeded* when any did; else *skipped*."""
    found = set(outcomes)
    bad = [outcome for outcome in found if not outcome.good]
    return worst(bad) if bad else Outcome.SUCCEEDED if Outcome.SUCCEEDED in found else Outcome.SKIPPED


def _first(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")


def _output(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return _last(clean_text((folder / "output.log").read_text(encoding="utf-8", errors="replace"), None))[:500]
    return "no output"
