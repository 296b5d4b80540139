"""The only place that joins adapters, engine and flow: the command line gets its `App` here."""

import getpass
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator.config as files
from orchestrator.domain.errors import Exit, OrchestratorError
from orchestrator.domain.journal import Kind, Run
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import Package, PackageRef
from orchestrator.ports import Durable, Jobs, Store

if TYPE_CHECKING:
    from orchestrator.engine.durable import Engine
    from orchestrator.flow.course import Setting


@dataclass(frozen=True)
class Asked:
    """What was asked for in one go. As JSON it is what the engine keeps, so that it can be taken up again."""

    root: str
    kind: Kind
    release: PackageRef | None
    targets: tuple[str, ...]
    by: str
    plan: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the engine keeps it."""
        return {
            "root": self.root,
            "kind": self.kind,
            "release": self.release.to_json() if self.release else None,
            "targets": list(self.targets),
            "by": self.by,
            "plan": self.plan,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Asked":
        """The reverse of :meth:`to_json`."""
        release = PackageRef.from_json(data["release"]) if data["release"] else None
        return cls(data["root"], data["kind"], release, tuple(data["targets"]), data["by"], data["plan"])

    def run(self, environment: str, at: str) -> Run:
        """The run for one environment that this goes to."""
        return Run(
            id=f"{self.root}-{environment}",
            root=self.root,
            kind=self.kind,
            environment=environment,
            release=self.release,
            by=self.by,
            requested_at=at,
        )


class App:
    """A project with everything joined. Each part is made when it is first used.

    Args:
        root: the project's folder.
        environ: the environment variables to act under.
    """

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.root = root
        self.environ = {**environ, "PATH": files.search_path(environ)}
        self.project = files.load_project(root)
        self.state = files.state_folder(root, self.environ)

    # -- the parts -----------------------------------------------------------------------------------------------------

    @cached_property
    def environments(self) -> files.Environments:
        """Every environment with its folder, in the order of the path."""
        return files.load_environments(self.root, self.project)

    @cached_property
    def jobs(self) -> Jobs:
        """Child processes."""
        from orchestrator.engine.jobs import LocalJobs

        return LocalJobs(self.state / "jobs")

    @cached_property
    def store(self) -> Store:
        """The journal."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.adapters.database.store import DatabaseStore

        return DatabaseStore(self.store_url, SystemClock())

    @property
    def store_url(self) -> str:
        """Where the journal is; a relative SQLite path counts from the project."""
        url = self.environ.get("ORCHESTRATOR_STORE") or self.project.store
        if not url.startswith("sqlite:///"):
            return url
        path = url.removeprefix("sqlite:///")
        if path.startswith(".orchestrator/"):
            return f"sqlite:///{self.state / path.removeprefix('.orchestrator/')}"
        return f"sqlite:///{self.root / path}"

    @cached_property
    def packages(self) -> "Any":
        """Release packages."""
        from orchestrator.adapters.archive.packages import SealedPackages

        return SealedPackages(self.state / "packages")

    @cached_property
    def provisioner(self) -> "Any":
        """Pulumi."""
        from orchestrator.adapters.pulumi import engine
        from orchestrator.adapters.pulumi.provisioner import PulumiProvisioner

        found = cache(lambda: engine.find(self.environ))
        return PulumiProvisioner(self.jobs, self.state / "pulumi", self.root, found, self.environ)

    @cached_property
    def deployer(self) -> "Any":
        """Ansible."""
        from orchestrator.adapters.ansible.deployer import AnsibleDeployer

        collections = Path(__file__).resolve().parent / "ansible"
        return AnsibleDeployer(self.jobs, self.state, collections, self.environ, self.root)

    @cached_property
    def verifier(self) -> "Any":
        """Testinfra."""
        from orchestrator.adapters.testinfra.verifier import TestinfraVerifier

        persistent = self.environ.get("ORCHESTRATOR_PERSISTENT", "1") != "0"
        cache = files.cache_folder(self.environ) / "bytecode"
        return TestinfraVerifier(self.jobs, self.environ, cache, persistent=persistent)

    @cached_property
    def setting(self) -> "Setting":
        """What every run of this project is given."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.adapters.silence import Silence
        from orchestrator.flow.course import Setting

        return Setting(
            project=self.project,
            root=self.root,
            state=self.state,
            environments=self.environments,
            provisioner=self.provisioner,
            deployer=self.deployer,
            verifier=self.verifier,
            packages=self.packages,
            store=self.store,
            clock=SystemClock(),
            notifier=Silence(),
        )

    @cached_property
    def engine(self) -> "Engine":
        """Durable execution."""
        from orchestrator.engine.durable import Engine

        url = self.store_url
        if url.startswith("sqlite:///"):
            url = f"sqlite:///{Path(url.removeprefix('sqlite:///')).with_suffix('')}-engine.db"
        return Engine(url, self.state / "executors", self._walk)

    @property
    def person(self) -> str:
        """Who is acting: `ORCHESTRATOR_USER`, else the user of this machine."""
        return self.environ.get("ORCHESTRATOR_USER") or getpass.getuser()

    # -- releases ------------------------------------------------------------------------------------------------------

    def package(self, wanted: str) -> Package:
        """The package that *wanted* means: a sealed file, a kept one (`shop-1.4.0`, version, digest), or a source.

        A source folder is built first, so that `promote releases/shop` works from the first day. Raises R106, R107.
        """
        path = Path(wanted)
        if path.is_file() and path.suffix == ".release":
            return Package.model_validate(self.packages.keep(path))
        found = [ref for ref, _ in self.packages.known() if _means(wanted, ref)]
        if len(found) > 1:
            names = ", ".join(f"{ref} ({ref.digest[:19]})" for ref in found)
            raise OrchestratorError("R107", f"{wanted!r} fits several packages: {names}")
        if found:
            return Package.model_validate(self.packages.fetch(found[0].digest))
        try:
            source = files.find_release(self.root, self.project, wanted)
        except OrchestratorError as error:
            raise OrchestratorError("R106", f"there is no release {wanted!r}") from error
        return Package.model_validate(self.packages.keep(Path(self.build(source).path)))

    def build(self, source: Path, target: Path | None = None) -> Package:
        """Seal the release described by *source* into *target* (by default `dist/<name>-<version>.release`)."""
        release = files.load_release(source, self.root)
        file = target or self.root / "dist" / f"{release.name}-{release.version}.release"
        return Package.model_validate(self.packages.build(self.root, source, release, file))

    # -- asking --------------------------------------------------------------------------------------------------------

    def plan(self, package: Package, environment: str, *, action: str = "promote", check: bool = True) -> Plan:
        """Make and keep a plan. Changes nothing outside."""
        from orchestrator.flow import plan as planning

        job = f"plan-{secrets.token_hex(4)}"
        wanted = planning.Wanted(package, environment, action, check=check)
        made = planning.make(self.setting, wanted, job, lambda _entry: None)
        planning.save(self.setting, made)
        self.deployer.close()
        return made

    def approved(self, wanted: str) -> Plan:
        """The plan that *wanted* means: a digest (or its beginning), or a file. Raises R121, R122."""
        from orchestrator.flow import plan as planning

        if Path(wanted).is_file():
            plan = planning.read(Path(wanted))
            planning.save(self.setting, plan)
            return plan
        start = wanted.removeprefix("sha256:")
        kept = [folder.name for folder in (self.state / "plans").glob(f"{start}*/") if len(folder.name) == 64]
        if len(kept) != 1 or not start:
            raise OrchestratorError("R121", f"there is no plan {wanted!r} here, or more than one")
        return planning.load(self.setting, f"sha256:{kept[0]}")

    def targets(self, package: Package, to: str | None) -> tuple[str, ...]:
        """The environments that a promotion goes to. Raises R103, R104, R108."""
        from orchestrator.flow import request

        found = request.targets(self.setting, package.manifest.release, package.ref, to)
        if not found:
            raise OrchestratorError("R108", f"{package.ref} already runs, verified, everywhere it may go")
        return tuple(found)

    def way_back(self, environment: str, version: str | None) -> Package:
        """The package that a rollback goes to: *version*, else the last verified before the present. Raises R134."""
        self.setting.environment(environment)
        marks = self.store.verified(environment)
        present = marks[0].release.digest if marks else None
        for mark in marks:
            if mark.release.version == version or (version is None and mark.release.digest != present):
                return Package.model_validate(self.packages.fetch(mark.release.digest))
        wanted = f"version {version} was never" if version else "no other release was ever"
        raise OrchestratorError("R134", f"{wanted} verified in {environment}")

    # -- doing ---------------------------------------------------------------------------------------------------------

    def ask(self, kind: Kind, package: Package | None, targets: tuple[str, ...], plan: str | None = None) -> Asked:
        """Write down what is asked for, so that it is found again from here on. Raises S101 when it is busy now."""
        from orchestrator.domain.journal import Entry, busy

        for environment in targets:
            held = self.store.lease(environment)
            if held is not None:
                raise busy(held)
        ref = package.ref if package else None
        asked = Asked(secrets.token_hex(3), kind, ref, targets, self.person, plan)
        first = asked.run(targets[0], self.setting.clock.now())
        self.store.create(first)
        self.store.append(first.id, [Entry(kind="requested", data=asked.to_json(), key="requested")])
        return asked

    def asked(self, root: str) -> Asked:
        """What was asked for under *root*, as the journal has it."""
        first = next(run for run in reversed(self.store.runs()) if run.root == root)
        return Asked.from_json(self.store.records(first.id, limit=1)[0].data)

    def begin(self, asked: Asked) -> Callable[[], dict[str, Any]]:
        """Start it, or go on with it. Returns a way to wait for its answer. Raises S120."""
        return self.engine.begin(asked.root, asked.to_json())

    def _walk(self, durable: Durable, data: dict[str, Any]) -> dict[str, Any]:
        """From environment to environment, until one does not end well. Replayed after a crash."""
        from orchestrator.flow import COURSES
        from orchestrator.flow.course import Course

        asked = Asked.from_json(data)
        ended: list[str] = []
        for environment in asked.targets:
            run = asked.run(environment, durable.step(f"{environment}.requested", self.setting.clock.now))
            self.store.create(run)
            course = Course(self.setting, _Prefixed(durable, environment), run, approved=asked.plan)
            done = COURSES[asked.kind](course)
            ended.append(done.id)
            if self.exit_of(done.id) is not Exit.OK:
                break
        return {"runs": ended}

    def exit_of(self, run: str) -> Exit:
        """How the command ends for a run that has ended."""
        for record in reversed(self.store.records(run)):
            if record.kind == "ended":
                return Exit(int(record.data["exit"]))
        return Exit.INTERRUPTED

    def interrupted(self, run: Run) -> bool:
        """Whether *run* has not ended and no process of this machine is working on it."""
        return not run.ended and not self.engine.working(run.root)

    def stop_softly(self) -> None:
        """Park before the next effect; what goes on now is finished first."""
        self.engine.brake.pull()

    @property
    def parked(self) -> bool:
        """Whether the walk stands still, so that the process can end and the run be resumed."""
        return self.engine.brake.parked.is_set()

    def close(self) -> None:
        """Give everything back that was opened."""
        if "engine" in self.__dict__:
            self.engine.close()
        if "store" in self.__dict__:
            self.store.close()


class _Prefixed:
    """Steps of one environment of a walk: the engine wants each name once."""

    def __init__(self, durable: Durable, prefix: str) -> None:
        self._durable, self._prefix = durable, prefix

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """The step of this environment."""
        return self._durable.step(f"{self._prefix}.{name}", work)

    def sleep(self, name: str, seconds: float) -> None:
        """The wait of this environment."""
        self._durable.sleep(f"{self._prefix}.{name}", seconds)


def _means(wanted: str, ref: PackageRef) -> bool:
    """Whether somebody who writes *wanted* may mean *ref*."""
    plain = wanted.removeprefix("sha256:")
    return wanted in {ref.version, f"{ref.name}-{ref.version}", f"{ref.name} {ref.version}"} or (
        len(plain) >= 8 and ref.digest.removeprefix("sha256:").startswith(plain)
    )


def reference_folder() -> Path:
    """The folder with the reference `environments/` and `playbooks/`: in an installed package, or the repository."""
    here = Path(__file__).resolve().parent
    return here / "reference" if (here / "reference").is_dir() else here.parent


def templates_folder() -> Path:
    """The folder with the templates of `init`."""
    return Path(__file__).resolve().parent / "templates"


def open_app(start: Path, environ: Mapping[str, str] = os.environ) -> App:
    """The project around *start*. Raises F-codes."""
    return App(files.find_project(start), environ)
