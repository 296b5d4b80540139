"""What the measurements share: hosts on this machine, a package, and the same work done by hand."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from orchestrator.adapters.ansible.configuration import Configurations
from orchestrator.adapters.ansible.deployer import AnsibleDeployer
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.adapters.testinfra.verifier import TestinfraVerifier
from orchestrator.config import load_release
from orchestrator.domain.configuration import CONFIG_FILE
from orchestrator.domain.context import Context
from orchestrator.domain.environment import AnsibleSettings
from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.plan import PlaySpec, SuiteSpec
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.engine.jobs import LocalJobs
from orchestrator.hosts import loopback
from orchestrator.processes import tagged

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COLLECTIONS = ROOT / "orchestrator" / "ansible"
MANY = Path(__file__).parent / "many_tasks.yml"


class Stage:
    """A project in a temporary folder with *hosts* running loopback hosts."""

    def __init__(self, folder: Path, hosts: int) -> None:
        self.folder, self.state = folder, folder / ".orchestrator"
        shutil.copytree(ROOT / "examples/shop", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("dist"))
        for version in ("1.0.0", "1.1.0"):
            _heavy(folder / "dist" / f"shop-{version}.tar.gz", folder / "app" / version)
        shutil.copy2(MANY, folder / "playbooks" / "many_tasks.yml")
        os.environ["ORCHESTRATOR_STATE"] = str(self.state)
        names = [f"web{number}" for number in range(1, hosts + 1)]
        began = time.monotonic()
        loopback.start("bench", names[0])  # makes the keys that all share
        with ThreadPoolExecutor(16) as pool:
            self.hosts = list(pool.map(lambda name: loopback.start("bench", name), names))
        self.started_in = time.monotonic() - began
        variables = {host.name: {**host.variables(), "shop_tax": "7.5"} for host in self.hosts}
        self.inventory = Inventory(hosts=variables, groups={"web": Group(hosts=tuple(names))})
        self.jobs = LocalJobs(self.state / "jobs")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        self.environ["PATH"] = os.pathsep.join([str(BIN), self.environ.get("PATH", os.defpath)])
        self.deployer = AnsibleDeployer(self.jobs, self.state, COLLECTIONS, self.environ, folder)
        self.verifier = TestinfraVerifier(self.jobs, self.environ, self.deployer.resolver)
        self.package = self.pack("1.0.0", "playbooks/many_tasks.yml")
        self.count = 0

    def pack(self, version: str, *include: str) -> Package:
        """The shop's release *version*, built and kept, with further files."""
        source = self.folder / "releases" / version / "release.yaml"
        release = load_release(source, self.folder).model_copy(update={"include": include})
        packages = SealedPackages(self.state / "packages")
        built = packages.build(self.folder, source, release, self.folder / "dist/shop.release", replace=True)
        return packages.keep(Path(built.path))

    def context(self) -> Context:
        """A run of its own for each call: a host does nothing twice for one run."""
        self.count += 1
        return Context(run=f"bench-{self.count}", environment="bench", fence=self.count)

    def deploy(
        self, playbook: str = "playbooks/deploy.yml", package: Package | None = None, step: str = "deploy"
    ) -> StepResult:
        """Our way: the playbook as a step of a release."""
        play = PlaySpec(step="deploy", playbook=playbook, hosts="web", limit=tuple(self.inventory.hosts))
        context = self.context()
        what, job = package or self.package, f"{context.run}.{step}"
        return self.deployer.deploy(play, what, self.inventory, context, job, _nothing)

    def verify(self, tests: str) -> StepResult:
        """Our way: the suite as a step of a release."""
        suite = SuiteSpec(name="smoke", tests=tests)
        context = self.context()
        return self.verifier.verify(suite, self.package, self.inventory, context, f"{context.run}.verify", _nothing)

    def inventory_file(self) -> Path:
        """The same hosts for work by hand, with the values that a release's variables would have."""
        content = Path(str(self.package.root))
        artifact = content / self.package.manifest.release.artifacts[0].path
        extra = {
            "orchestrator_release": {"version": "1.0.0"},
            "artifact": str(artifact),
            "shop_name": "The Corner Shop",
        }
        file = self.folder / "by-hand.json"
        file.write_text(json.dumps({"web": {"hosts": self.inventory.hosts, "vars": extra}}))
        return file

    def by_hand(self, control: Path) -> dict[str, str]:
        """Ansible's environment by hand, tuned as ours is."""
        effective = Configurations(self.environ, None, COLLECTIONS, self.folder).of_hosts((), AnsibleSettings())
        (self.folder / CONFIG_FILE).write_bytes(effective.config)
        return effective.environment(self.folder, control, len(self.hosts))

    def fresh(self) -> None:
        """Hosts without any release, and no connection left open."""
        self.deployer.close()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(_emptied, self.hosts))


def _heavy(artifact: Path, app: Path) -> None:
    """A release of the shop with 5 MB beside it that cannot be packed any smaller."""
    payload = random.Random(1).randbytes(5_000_000)
    artifact.parent.mkdir(exist_ok=True)
    with tarfile.open(artifact, "w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(app.rglob("*.py")):
            archive.add(path, path.relative_to(app))
        about = tarfile.TarInfo("pictures.bin")
        about.size, about.mode = len(payload), 0o644
        archive.addfile(about, io.BytesIO(payload))


def _emptied(host: loopback.Host) -> None:
    for process in tagged(host.mark):  # what serves the shop, among the processes of this host and no others
        with contextlib.suppress(OSError):
            if b"server.py" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGKILL)
    for name in ("releases", "shared", ".orchestrator"):
        shutil.rmtree(f"{host.root}/{name}", ignore_errors=True)
    for name in ("current", "shop.pid"):
        Path(host.root, name).unlink(missing_ok=True)


def ssh(host: loopback.Host, command: str, stdin: bytes = b"") -> None:
    """One connection, one command."""
    about = host.variables()
    subprocess.run(
        [
            "ssh", "-o", "BatchMode=yes", *str(about["ansible_ssh_common_args"]).split(),
            "-i", str(about["ansible_ssh_private_key_file"]), "-p", str(host.port),
            f"{host.user}@{host.address}", command,
        ],
        input=stdin, check=True, capture_output=True,
    )  # fmt: skip


def _nothing(_entry: object) -> None:
    pass


@contextlib.contextmanager
def stage(hosts: int) -> Iterator[Stage]:
    """A stage, gone again at the end."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-bench-"))
    made: Stage | None = None
    try:
        made = Stage(folder / "shop", hosts)
        yield made
    finally:
        if made is not None:
            made.deployer.close()
        os.environ["ORCHESTRATOR_STATE"] = str(folder / "shop" / ".orchestrator")
        for host in loopback.recorded(folder / "shop" / ".orchestrator"):
            loopback.remove_host(host)
        del os.environ["ORCHESTRATOR_STATE"]
        shutil.rmtree(folder)


def paired(repeats: int, *works: tuple[Callable[[], None], Callable[[], object]]) -> list[float]:
    """The median seconds of each work, done in turns, each after its own preparation."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for number, (prepare, work) in enumerate(works):
            prepare()
            began = time.monotonic()
            work()
            times[number].append(time.monotonic() - began)
    return [median(values) for values in times]


def good(result: StepResult) -> None:
    """End the program if the measured step failed: its time does not count."""
    if not result.good:
        raise SystemExit(f"it failed: {result.message}")
