"""The only place that joins adapters, engine and flow: the command line gets its `App` here."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator.config as files
from orchestrator.domain.authentication import KEY_FILE
from orchestrator.domain.drift import Drift
from orchestrator.domain.errors import Exit, OrchestratorError, OrchestratorErrors
from orchestrator.domain.journal import (
    FORWARD,
    LOCK,
    Entry,
    Kind,
    Lease,
    Run,
    Wish,
    Work,
    busy,
    later,
    queued,
    recorded_exit,
    run_id,
)
from orchestrator.domain.model import DIGEST
from orchestrator.domain.parity import Parity
from orchestrator.domain.plan import NOTHING, Named, Plan
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package, PackageRef, Release
from orchestrator.domain.secret import secret_variables, secrets_in_urls
from orchestrator.domain.text import nearest
from orchestrator.domain.waves import Waves
from orchestrator.ports import (
    Artifacts,
    Deployer,
    Durable,
    Engines,
    Jobs,
    Logs,
    Parallel,
    Provisioner,
    Store,
    Tenure,
    Unkept,
    Unshared,
    Verifier,
)
from orchestrator.register_wiring import RegisterParts
from orchestrator.secret_values import SURROUNDINGS, SecretValues, use

if TYPE_CHECKING:
    from orchestrator.adapters.archive.checks import Declared
    from orchestrator.adapters.project_key import FileKeys
    from orchestrator.adapters.views import Views
    from orchestrator.adapters.withheld import WithheldSecrets
    from orchestrator.domain.environment import Environment
    from orchestrator.domain.facts import EnvironmentFacts, QueueFacts, RunFacts
    from orchestrator.domain.retention import Removable
    from orchestrator.domain.wave_plan import WavePlan
    from orchestrator.domain.way_back import Outlook, RollbackPlan
    from orchestrator.engine.durable import Engine
    from orchestrator.flow.walk import Way
    from orchestrator.inspect.leftovers import Leftover
    from orchestrator.inspect.trail import Then
    from orchestrator.isolation.isolator import Isolator
    from orchestrator.setting import Setting

Warn = Callable[[OrchestratorError], object]
DETACHED = "detached"  # the key of the record that a run was detached
AT_ONCE = 4  # environments whose plans are made side by side
FOR_EVER = 10 * 365 * 86400.0  # seconds, longer than any queue


@dataclass(frozen=True)
class Printed:
    """What one *job* of the step *step* has printed, in *file*; by *digest* when it is shared."""

    job: str
    step: str
    file: Path
    digest: str | None


@dataclass(frozen=True)
class Again:
    """A run to be gone on with from one of its steps: what came before it is taken as it was."""

    run: str
    step: str


@dataclass(frozen=True)
class Asked:
    """What was asked for in one go. As JSON it is what the engine keeps, so that it can be taken up again.

    *targets* are gone to one after the other, or where *about* has `waves` as those say. *about* is what only this kind
    of run needs to know.
    """

    root: str
    kind: Kind
    release: PackageRef | None
    targets: tuple[str, ...]
    by: str
    plan: str | None = None
    wait: float = 0.0
    again: "Again | None" = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the engine keeps it."""
        return {
            "root": self.root,
            "kind": self.kind,
            "release": self.release.to_json() if self.release else None,
            "targets": list(self.targets),
            "by": self.by,
            "plan": self.plan,
            "wait": self.wait,
            "again": {"run": self.again.run, "step": self.again.step} if self.again else None,
            "about": dict(self.about),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Asked":
        """The reverse of :meth:`to_json`."""
        release = PackageRef.from_json(data["release"]) if data["release"] else None
        wait, again = float(data.get("wait", 0.0)), data.get("again")
        return cls(
            data["root"],
            data["kind"],
            release,
            tuple(data["targets"]),
            data["by"],
            data["plan"],
            wait,
            Again(again["run"], again["step"]) if again else None,
            data.get("about") or {},
        )

    @property
    def waves(self) -> Waves | None:
        """The waves that it goes in; None where it goes along the path."""
        found = self.about.get("waves")
        return Waves.from_json(found["walk"]) if found else None

    def way(self) -> "Way | None":
        """What the walk in waves is about; None where it is none."""
        from orchestrator.flow.walk import Way

        waves, found = self.waves, self.about.get("waves")
        if waves is None or found is None or self.release is None:
            return None
        return Way(
            self.root,
            self.release,
            self.by,
            waves,
            plan=self.plan,
            plans=found["plans"],
            wait=self.wait,
            named=Named.from_json(self.about.get("named") or {}),
            again=str(self.about.get("again") or ""),
            redeploy=bool(found.get("redeploy")),
        )

    def alone(self, run: Run) -> "Asked":
        """What was asked for of *run*, which is one of a walk in waves, without the rest of that."""
        about = {name: value for name, value in self.about.items() if name != "waves"}
        plan = self.about["waves"]["plans"].get(run.environment) if run.kind == "promotion" else None
        return replace(self, kind=run.kind, release=run.release, targets=(run.environment,), plan=plan, about=about)

    @property
    def name(self) -> str:
        """The run by which a person follows it: the first one; of a walk in waves that of all of it."""
        return self.root if self.waves is not None else run_id(self.root, self.targets[0])

    def first(self, at: str) -> Run:
        """The run that is there from the moment at which it is asked for."""
        way = self.way()
        return way.run(at) if way is not None else self.run(self.targets[0], at)

    def run(self, environment: str, at: str) -> Run:
        """The run for one environment that this goes to."""
        return Run(
            id=run_id(self.root, environment),
            root=self.root,
            kind=self.kind,
            environment=environment,
            release=self.release,
            by=self.by,
            requested_at=at,
        )


class App(RegisterParts):
    """A project with everything joined. Each part is made when it is first used.

    Args:
        root: the project's folder.
        environ: the environment variables to act under.
        engines: makes the adapters of the engines; None: the real ones.
    """

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ, engines: Engines | None = None) -> None:
        self._engines = engines
        self.root = root
        self.environ = {**environ, "PATH": files.search_path(environ)}
        self.project = files.load_project(root)
        self.state = files.state_folder(root, self.environ)
        self.resuming: set[str] = set()  # roots that this process has started a process for
        self.secrets = SecretValues()
        self.secrets.learn(SURROUNDINGS, secret_variables(self.environ))
        self.secrets.learn(SURROUNDINGS, secrets_in_urls((self.store_url, self.shared, *self.environ.values())))
        self.secrets.learn_names((self.project.name, self.environ.get("USER") or ""))
        use(self.secrets)

    # -- the parts -----------------------------------------------------------------------------------------------------

    @cached_property
    def environments(self) -> files.Environments:
        """Every environment with its folder, in the order of the path."""
        return files.load_environments(self.root, self.project)

    @cached_property
    def jobs(self) -> Jobs:
        """Child processes."""
        from orchestrator.engine.jobs import LocalJobs

        return LocalJobs(self.state / "jobs", isolator=self.isolator, secrets=self.secrets)

    def isolator(self) -> "Isolator":
        """What isolates processes, as the project's file says. Raises I101 and I102."""
        from orchestrator.isolation.find import find

        return find(self.project.isolation, self.environ)

    @cached_property
    def views(self) -> "Views":
        """What processes find of this machine."""
        from orchestrator.adapters.views import Views

        return Views(self.root, self.state, self.environ, self.isolator, self._known_environments)

    def _known_environments(self) -> "Mapping[str, Environment]":
        """The environments of this project by name; none if their files cannot be read."""
        try:
            return {name: environment for name, (environment, _) in self.environments.items()}
        except (OrchestratorError, OrchestratorErrors):  # commands that need the files report what is wrong
            return {}

    @cached_property
    def store(self) -> Store:
        """The journal."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.adapters.database.masking import mask_databases
        from orchestrator.adapters.database.store import DatabaseStore

        mask_databases()
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

    @property
    def shared(self) -> str | None:
        """Where several machines share what they keep: `ORCHESTRATOR_ARTIFACTS`, else the project's file."""
        return self.environ.get("ORCHESTRATOR_ARTIFACTS") or self.project.artifacts

    @cached_property
    def artifacts(self) -> Artifacts:
        """What several machines share. Nothing is asked there yet. Raises S140."""
        if self.shared is None:
            return Unshared()
        from orchestrator.adapters.artifacts.places import artifacts

        return artifacts(self.shared, self.root)

    @cached_property
    def logs(self) -> Logs:
        """What jobs have printed, for other machines."""
        if self.shared is None:
            return Unkept()
        from orchestrator.adapters.artifacts.logs import SharedLogs

        return SharedLogs(self.state / "jobs", self.artifacts)

    @cached_property
    def packages(self) -> "Any":
        """Release packages."""
        from orchestrator.adapters.archive.packages import SealedPackages
        from orchestrator.adapters.archive.proof import Proof

        collections = collections_folder()
        proof = Proof(collections, self.environ, self._declared, self.views)
        local = SealedPackages(
            self.state / "packages",
            collections=collections,
            proof=proof,
            packing=self.project.package,
            declared=self._declared,
            environ=self.environ,
            views=self.views,
        )
        if self.shared is None:
            return local
        from orchestrator.adapters.artifacts.packages import SharedPackages

        return SharedPackages(local, self.artifacts)

    def _declared(self, names: tuple[str, ...]) -> "tuple[Declared, ...]":
        """What the environments *names* of this project declare; nothing where their files cannot be read."""
        from orchestrator.adapters.archive.checks import declared_by

        try:
            found = {name: self.environments[name] for name in names if name in self.environments}
        except (OrchestratorError, OrchestratorErrors):  # commands that need the files report what is wrong
            return ()
        shown = {name: os.path.relpath(folder / "environment.yaml", self.root) for name, (_, folder) in found.items()}
        return tuple(declared_by(name, shown[name], environment) for name, (environment, _) in found.items())

    @cached_property
    def keys(self) -> "FileKeys":
        """The project key: in the file that `ORCHESTRATOR_PROJECT_KEY_FILE` names, else in the state folder."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.adapters.project_key import FileKeys

        named = self.environ.get(KEY_FILE)
        file = Path(os.path.normpath(self.root / named)) if named else self.state / "project.key"
        return FileKeys(file, SystemClock(), shared=bool(named))

    @property
    def withheld(self) -> "WithheldSecrets":
        """The secrets that a restored backup did not have."""
        from orchestrator.adapters.withheld import WithheldSecrets

        return WithheldSecrets(self.state, self.environ)

    def secret_paths(self) -> dict[str, tuple[str, ...]]:
        """The controller files that each environment declares as secret; none if the environments cannot be read."""
        with contextlib.suppress(OrchestratorError, OrchestratorErrors):
            return {name: environment.secret_paths for name, (environment, _) in self.environments.items()}
        return {}

    @cached_property
    def engines(self) -> Engines:
        """Where every adapter of an engine comes from: those given to this project, else the real ones."""
        if self._engines is not None:
            return self._engines
        from orchestrator.adapters.live import LiveEngines

        own = collections_folder()
        known = (self.artifacts, self.keys, self.secrets, self.views)
        return LiveEngines(self.jobs, self.state, self.root, own, self.environ, *known)

    @cached_property
    def provisioner(self) -> Provisioner:
        """Pulumi."""
        return self.engines.provisioner()

    @cached_property
    def deployer(self) -> Deployer:
        """Ansible."""
        return self.engines.deployer(f"process {os.getpid()}")

    @cached_property
    def verifier(self) -> Verifier:
        """Testinfra."""
        return self.engines.verifier()

    @cached_property
    def gates(self) -> "Any":
        """Requests, queries and commands."""
        from orchestrator.adapters.gates.asker import LiveGates

        return LiveGates(self.jobs, self.root, self.environ, self.secrets, self.views)

    @cached_property
    def prober(self) -> "Any":
        """What looks at a service while a release goes out."""
        from orchestrator.adapters.gates.prober import LiveProber

        return LiveProber(self.jobs)

    @cached_property
    def setting(self) -> "Setting":
        """What every run of this project is given."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.adapters.silence import Silence
        from orchestrator.setting import Setting

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
            keys=self.keys,
            artifacts=self.artifacts,
            logs=self.logs,
            gates=self.gates,
            prober=self.prober,
            secrets=self.secrets,
            environ=self.environ,
            entrance=self.entrance,
        )

    def _connected(self, environment: str) -> "Setting":
        """The setting of what acts in one *environment*: whoever takes over closes its connections as well.

        The secrets that it declares are known from here on, also where a run is resumed.
        """
        from orchestrator.inspect.stacks import learn_declared

        if environment in self.environments:
            learn_declared(self.setting, self.environments[environment][0])
        return replace(self.setting, deployer=self.engines.deployer(environment))

    def _apart(self, environment: str) -> "Setting":
        """The same, beside others in this process: with a Pulumi of its own, too."""
        return replace(self._connected(environment), provisioner=self.engines.provisioner())

    @cached_property
    def engine(self) -> "Engine":
        """Durable execution."""
        from orchestrator.adapters.database.engine import engine_url
        from orchestrator.engine.durable import Engine, Place

        bound = not self.store_url.startswith("sqlite")  # a file is on one machine, where nobody need wait for a claim
        place = Place(engine_url(self.store_url), self.state / "executors", self.claim_lasts, bound=bound)
        return Engine(place, self.store, self.jobs, self._walk, self.secrets)

    @property
    def claim_lasts(self) -> float:
        """Seconds after which a silent process may be taken for dead on other machines: `ORCHESTRATOR_CLAIM`, or 30."""
        return float(self.environ.get("ORCHESTRATOR_CLAIM") or 30)

    @property
    def recovers(self) -> bool:
        """Whether what was interrupted is gone on with by itself: `ORCHESTRATOR_RECOVERY`, else the project's file."""
        return (self.environ.get("ORCHESTRATOR_RECOVERY") or self.project.recovery) == "automatic"

    # -- releases ------------------------------------------------------------------------------------------------------

    def package(
        self,
        wanted: str,
        warn: Warn = lambda _warning: None,
        building: Callable[[Path], object] = lambda _source: None,
        *,
        publish: bool = True,
    ) -> Package:
        """The package that *wanted* means: a sealed file, a kept one (`shop-1.4.0`, version, digest), or a source.

        A source folder is built first, so that `promote releases/shop` works from the first day; *building* is called
        with it before. Without *publish* the package is kept on this machine alone, and `dist/` is left as it is.
        Raises R106, R107.
        """
        path = Path(wanted)
        if path.is_file() and path.suffix == ".release":
            return Package.model_validate(self.packages.keep(path) if publish else self.packages.hold(path))
        found = [ref for ref in self.packages.refs() if _means(wanted, ref)]
        if len(found) > 1:
            names = ", ".join(f"{ref} ({ref.digest[:19]})" for ref in found)
            raise OrchestratorError("R107", f"{wanted!r} fits several packages: {names}")
        if found:
            package = Package.model_validate(self.packages.fetch(found[0].digest))
            if publish:
                self._share(package)
            return package
        try:
            source = files.find_release(self.root, self.project, wanted)
        except OrchestratorError as error:
            known = [f"{ref.name}-{ref.version}" for ref in self.packages.refs()]
            known += [str(file.parent.relative_to(self.root)) for file in self._sources()]
            text = f"there is no release {wanted!r}"
            raise OrchestratorError("R106", text, hint=nearest(wanted, known)) from error
        building(source)
        built = self.build(source, warn=warn) if publish else self.draft(source, warn)
        return Package.model_validate(self.packages.fetch(built.digest))

    def _sources(self) -> list[Path]:
        """The files of the releases that the project describes."""
        return sorted((self.root / self.project.releases).glob("*/release.yaml"))

    def _share(self, package: Package) -> None:
        """See that other machines have a *package* that was kept here before. Raises S-codes."""
        if self.shared is not None:
            self.packages.share(package)

    def reference(self, wanted: str) -> PackageRef:
        """The release that *wanted* names by version or digest; a whole digest may be of a package that is not here.

        Raises R106 and R107.
        """
        found = [ref for ref in self.packages.refs() if _means(wanted, ref)]
        if len(found) > 1:
            names = ", ".join(f"{ref} ({ref.digest[:19]})" for ref in found)
            raise OrchestratorError("R107", f"{wanted!r} fits several packages: {names}")
        if not found and DIGEST.match(wanted):
            return PackageRef(name="unknown", version="0", digest=wanted)
        if not found:
            raise OrchestratorError("R106", f"there is no package {wanted!r} here")
        return PackageRef.model_validate(found[0])

    def build(self, source: Path, target: Path | None = None, warn: Warn = lambda _warning: None) -> Package:
        """Seal the release described by *source* into *target* (by default `dist/<name>-<version>.release`).

        It is kept as well, so that it can be named by its version from here on. *warn* is given what may be missing.
        """
        release = files.load_release(source, self.root)
        file = target or self._published(release.name, release.version)
        package = self._sealed(source, release, file, warn)
        self.packages.keep(file)
        return package

    def draft(self, source: Path, warn: Warn = lambda _warning: None) -> Package:
        """Seal the release described by *source* for a look at it: kept on this machine, and published nowhere."""
        release = files.load_release(source, self.root)
        with tempfile.TemporaryDirectory(prefix="orchestrator-draft-") as folder:
            file = Path(folder) / f"{release.name}-{release.version}.release"
            self._sealed(source, release, file, warn)
            return Package.model_validate(self.packages.hold(file))

    def _sealed(self, source: Path, release: Release, file: Path, warn: Warn) -> Package:
        """Seal a *release*; other packages of its version that no environment has seen are removed. Raises P106."""
        from orchestrator.inspect.versions import Versions

        versions = Versions(self.packages, self.store, release)
        built = self.packages.build(self.root, source, release, file, admit=versions.admit, warn=warn)
        versions.supersede(built.digest)
        return Package.model_validate(built)

    def _published(self, name: str, version: str) -> Path:
        """Where the package of a version is published."""
        return self.root / "dist" / f"{name}-{version}.release"

    def remove(self, wanted: str) -> tuple[PackageRef, bool]:
        """Remove a package that no environment has seen; whether its file in `dist/` is removed too. Raises P123."""
        from orchestrator.inspect.versions import uses

        ref = self.reference(wanted)
        found = uses(self.store, ref.digest)
        if found:
            hint = "raise the version of the next release; packages that an environment has had are kept"
            raise OrchestratorError("P123", f"{ref} is used by {', '.join(found[:5])}", hint=hint)
        self.packages.remove(ref)
        file = self._published(ref.name, ref.version)
        with contextlib.suppress(OrchestratorError):
            if self.packages.read(file).digest == ref.digest:
                file.unlink()
                return ref, True
        return ref, False

    # -- asking --------------------------------------------------------------------------------------------------------

    def plan(
        self,
        package: Package,
        environment: str,
        *,
        action: str = "promote",
        check: bool = True,
        no_return: bool = False,
        all_at_once: bool = False,
        named: Named = NOTHING,
        then: "Then | None" = None,
    ) -> Plan:
        """Make and keep a plan. Changes nothing outside. Raises S193."""
        from orchestrator.inspect import leftovers
        from orchestrator.planning import make, plan_store
        from orchestrator.planning.survey import Wanted

        self.withheld.require()
        job = f"plan-{secrets.token_hex(4)}"
        wanted = Wanted(
            package,
            environment,
            action,
            check=check,
            no_return=no_return,
            all_at_once=all_at_once,
            named=named,
            then=then,
        )
        setting = leftovers.apart(self.setting, environment, package.ref)
        made = make.make(setting, wanted, job, lambda _entry: None)
        plan_store.save(self.setting, made)
        self.deployer.close()
        return made

    def document(self, plan: "Plan | WavePlan") -> dict[str, Any]:
        """The *plan* as a document that this project recognizes when it comes back as a file. Raises S150 and S151."""
        from orchestrator.planning import plan_store

        return plan_store.document(self.setting, plan)

    def named(self, package: Package, replace: tuple[str, ...], no_return: tuple[str, ...]) -> Named:
        """What a person agrees to by name for *package*. Raises R206 for a step that is no point of no return there."""
        there = [step.name for step in package.manifest.release.steps if step.undo == "impossible"]
        there += self._newer_points(package) if no_return else []
        strange = [step for step in no_return if step not in there]
        if strange:
            known = ", ".join(there) or "none"
            text = f"{package.ref} has no point of no return {', '.join(strange)} (there are: {known})"
            raise OrchestratorError("R206", text)
        return Named(replace=replace, no_return=no_return)

    def _newer_points(self, package: Package) -> list[str]:
        """The steps that cannot be undone of the releases which took the place of *package* somewhere."""
        from orchestrator.planning.rollback_target import left_over

        return [step for name in self.environments for step in left_over(self.setting, name, package)]

    def drift(self, environment: str) -> Drift:
        """What has changed in *environment* since its last release. Changes nothing. Raises R103 and R180."""
        from orchestrator.inspect import drift

        try:
            return drift.look(self.setting, environment, f"drift-{secrets.token_hex(4)}", lambda _entry: None)
        finally:
            self.deployer.close()

    def parity(self, left: str, right: str) -> Parity:
        """How two environments differ. Changes nothing. Raises R103."""
        from orchestrator.inspect import parity

        try:
            return parity.look(self.setting, left, right, f"parity-{secrets.token_hex(4)}", lambda _entry: None)
        finally:
            self.deployer.close()

    def executable(self, plan: Plan) -> None:
        """Return when nothing that *plan* says keeps it from being executed. Raises what `flow.plan.refusal` gives."""
        from orchestrator.planning import refusal

        why = refusal.refusal(plan)
        if why is not None:
            raise why

    def plan_waves(
        self, package: Package, waves: Waves, *, check: bool = True, named: Named = NOTHING, redeploy: bool = False
    ) -> "WavePlan":
        """Make and keep the plan of each environment of *waves*, and that over all of them. Changes nothing outside.

        Environments that have the release get a plan if it is to *redeploy*. Raises what `flow.waves.admit` and
        `flow.plan.make` do, and S193.
        """
        from concurrent.futures import ThreadPoolExecutor

        from orchestrator.domain.wave_plan import PlannedEnvironment, WavePlan
        from orchestrator.flow import walk
        from orchestrator.inspect import leftovers
        from orchestrator.planning import make, plan_store
        from orchestrator.planning.survey import Wanted

        self.withheld.require()
        wanted = walk.admitted_environments(self.setting, waves, package, redeploy=redeploy)

        def planned(name: str) -> PlannedEnvironment:
            if name not in wanted:
                return PlannedEnvironment(environment=name)
            deployer = self.engines.deployer(f"process {os.getpid()}, {name}")
            setting = leftovers.apart(replace(self._apart(name), deployer=deployer), name, package.ref)
            asked = Wanted(package, name, check=check, named=named, coming=waves.before(name))
            plan = make.make(setting, asked, f"plan-{secrets.token_hex(4)}", lambda _entry: None)
            setting.deployer.close()
            return PlannedEnvironment(environment=name, digest=plan.digest, plan=plan)

        self.setting.packages.fetch(package.digest)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            found = dict(zip(waves.names, pool.map(planned, waves.names), strict=True))
        made = WavePlan(
            project=self.project.name,
            release=package.ref,
            walk=waves,
            waves=tuple(tuple(found[name] for name in wave) for wave in waves.environments),
            redeploy=redeploy,
            created_at=self.setting.clock.now(),
        )
        plan_store.save(self.setting, made)
        return made

    def waves(self, name: str | None) -> Waves | None:
        """The list of waves that is called *name*; None when there is none."""
        return next((waves for waves in self.project.waves if waves.name == name), None)

    def approved(self, wanted: str) -> "Plan | WavePlan":
        """The plan that *wanted* means: a digest (or its beginning), or a file. Raises R121, R122, and R240 to R242."""
        from orchestrator.planning import plan_store

        if Path(wanted).is_file():
            plan = plan_store.read(self.setting, Path(wanted))
            plan_store.save(self.setting, plan)
            return plan
        start = wanted.removeprefix("sha256:")
        kept = plan_store.kept(self.setting, start) if start else []
        if len(kept) > 1:
            raise OrchestratorError("R121", f"{wanted!r} fits several plans: {', '.join(name[:19] for name in kept)}")
        if not kept:
            hint = (
                "write the plan to a file where it was made (orchestrator plan … --out FILE), and name that file here"
            )
            raise OrchestratorError("R121", f"there is no plan {wanted!r} on this machine", hint=hint)
        return plan_store.load_any(self.setting, f"sha256:{kept[0]}")

    def planned_package(self, plan: "Plan | WavePlan") -> Package:
        """The package that *plan* promotes, shared for other machines. Raises P301 with the command that brings it."""
        digest = plan.release.digest
        if any(ref.digest == digest for ref in self.packages.refs()):
            return self.package(digest)
        file = f"{digest.removeprefix('sha256:')}.release"
        if self.shared is None:
            hint = (
                f"copy .orchestrator/packages/{file} from the machine that made the plan, and run here: "
                f"orchestrator package verify {file} --keep"
            )
        else:
            hint = (
                "run on the machine that made the plan: orchestrator package verify "
                f".orchestrator/packages/{file} --keep; then repeat this command here"
            )
        where = "is not kept on this machine" + (f" or in {self.artifacts.where}" if self.shared is not None else "")
        raise OrchestratorError("P301", f"the package of the plan, {plan.release} ({digest}), {where}", hint=hint)

    def returning(self, environment: str) -> "RollbackPlan | None":
        """The way back of the promotion that is under way in *environment*; None when there is none.

        Raises R103, R130 to R133, and R137.
        """
        from orchestrator.planning.rollback_plan import under_way

        self.setting.environment(environment)
        last = next(iter(self.store.runs(environment, limit=1)), None)
        going = last is not None and last.kind in FORWARD and not last.ended
        return under_way(self.setting, last) if last is not None and going else None

    def outlook(self, plan: "RollbackPlan") -> "Outlook | None":
        """What the way back *plan* would do to the stack, as far as that can be known now. Changes nothing."""
        from orchestrator.planning.rollback_plan import foresee

        return foresee(self.setting, self.store.run(plan.run), plan, f"outlook-{secrets.token_hex(4)}")

    def targets(
        self,
        package: Package,
        to: str | None,
        *,
        redeploy: bool = False,
        again: bool = False,
        overrun: bool = False,
        rehearsal: bool = False,
    ) -> tuple[str, ...]:
        """The environments that a promotion goes to, each of which may be promoted to.

        With *redeploy* the one that *to* names counts also where the release runs already. Raises R103, R104, R108,
        and R110, and the code of each condition that the first one does not meet.
        """
        from orchestrator.planning import admission, targets

        found = targets.targets(self.setting, package.manifest.release, package.ref, to, redeploy=redeploy)
        if not found:
            where = to or "every environment that it declares"
            raise OrchestratorError("R108", f"nothing to do: {package.ref} already runs in {where}, and is verified")
        admission.allow_all(self.setting, found)
        self.check_promotion(self.promotion(package, found[0], again=again, overrun=overrun, rehearsal=rehearsal))
        return tuple(found)

    def walk(
        self,
        package: Package,
        waves: Waves,
        plan: "WavePlan | None" = None,
        *,
        again: bool = False,
        redeploy: bool = False,
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """The environments that a promotion of *package* in *waves* goes to, and what is kept about it for :meth:`ask`.

        Nothing starts that would be refused later. Raises the errors of `flow.walk.admitted_environments`, R203 unless
        the release may be promoted *again*, and for a *plan* R220 if it was made for other waves, or the reason why one
        of its plans may not be executed.
        Whether it is to *redeploy* follows from the *plan*, if there is one.
        """
        from orchestrator.flow import walk

        redeploy = plan.redeploy if plan is not None else redeploy
        targets = walk.admitted_environments(self.setting, waves, package, redeploy=redeploy)
        if plan is not None:
            walk.unchanged(self.setting, plan)
            walk.executable(plan)
        if not again:
            walk.refuse_again(self.setting, targets, package.ref)
        about = {"walk": waves.to_json(), "plans": plan.plans if plan else {}}
        return targets, {"waves": {**about, **({"redeploy": True} if redeploy else {})}}

    def way_back(self, environment: str, version: str | None) -> Package:
        """The package that a rollback goes to: *version*, or as `inspect.trail.destination` says. Raises R134."""
        from orchestrator.inspect.trail import destination

        return self._fetched(destination(self.setting, environment, version))

    def as_of(self, environment: str, when: str) -> "tuple[Package, Then]":
        """What *environment* was at a time or at the end of a run, and its package. Raises R101, R204, R205."""
        from orchestrator.inspect.trail import as_of

        then = as_of(self.setting, environment, when)
        return self._fetched(then.release), then

    def _fetched(self, ref: PackageRef) -> Package:
        """The package that is restored, shared where others may have to go on with that."""
        package = Package.model_validate(self.packages.fetch(ref.digest))
        with contextlib.suppress(OrchestratorError):  # a way back is not held up: this machine can go it
            self._share(package)
        return package

    # -- doing ---------------------------------------------------------------------------------------------------------

    def ask(
        self,
        kind: Kind,
        package: Package | None,
        targets: tuple[str, ...],
        plan: str | None = None,
        *,
        wait: float = 0.0,
        queue: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> Asked:
        """Write down what is asked for, so that it is found again from here on.

        With *wait* (seconds) a busy environment is waited for, else S101 is raised when it is busy now. *queue* names
        the workers that are to do it; empty: this process does. What is for workers stands in the queue of its first
        environment from now on. *about* is what only this kind of run needs to know.
        """
        self.permit_run(kind, targets)
        wait = wait or (FOR_EVER if queue else 0.0)
        if not wait:
            for environment in targets:
                self.free(environment)
        ref = package.ref if package else None
        asked = Asked(secrets.token_hex(3), kind, ref, targets, self.person, plan, wait, about=about or {})
        asked, run = self._written(asked, queue)
        if queue and asked.waves is None:  # each environment of a walk stands in its queue once its wave has begun
            supersede = self.setting.environment(run.environment)[0].queue.supersede
            self.store.enqueue(run.environment, run, supersede=supersede)
        return asked

    def again(self, run: Run, step: str | None) -> Asked:
        """Write down that *run*, which needs a person, is to be gone on with from *step*.

        By default that is the last of its steps that was not good. Raises R151 when there is nothing to go on with,
        R142 for a step that it does not have, and S101.
        """
        finished = [record for record in self.store.records(run.id) if record.kind == "step.finished"]
        bad = [record.step for record in finished if record.data["outcome"] not in {"succeeded", "skipped"}]
        newest = self.store.runs(run.environment, limit=1)[0]
        if run.state is not State.NEEDS_PERSON or newest.id != run.id or not bad:
            why = f"{newest.id} came after it" if newest.id != run.id else f"it ended as: {run.state}"
            raise OrchestratorError("R151", f"{run.id} cannot be retried: {why}")
        chosen = step or bad[-1]
        if chosen not in {record.step for record in finished}:
            names = [record.step for record in finished]
            raise OrchestratorError("R142", f"{run.id} has no step {chosen!r}", hint=nearest(chosen, names))
        self.free(run.environment)
        before = self.asked(run.root)
        if before.waves is None:
            before = replace(before, targets=before.targets[before.targets.index(run.environment) :])
        else:
            before = before.alone(run)
        asked = replace(before, root=secrets.token_hex(3), by=self.person, again=Again(run.id, chosen))
        return self._written(asked)[0]

    def _written(self, asked: Asked, queue: str = "") -> tuple[Asked, Run]:
        """*asked* with its first run, written down under a root of its own: one of six digits may be taken already."""
        while True:
            run = asked.first(self.setting.clock.now())
            if self.store.ask(Work(root=asked.root, asked=asked.to_json(), queue=queue), run):
                return asked, run
            asked = replace(asked, root=secrets.token_hex(3))

    def free(self, environment: str) -> None:
        """Return when *environment* can be taken now. Raises S101 with who holds it, or waits for it."""
        held = self.store.lease(environment)
        if held is not None:
            raise busy(held, self.setting.clock.now())
        for waiting in self.store.queue(environment):
            if waiting.superseded_by is None:
                raise queued(waiting, self.setting.clock.now())

    def asked(self, root: str) -> Asked:
        """What was asked for under *root*. Raises R101."""
        return Asked.from_json(self.store.work(root).asked)

    def begin(self, asked: Asked) -> Callable[[], dict[str, Any]]:
        """Start it, or go on with it. Returns a way to wait for its answer. Raises S115, S120 and S193."""
        from orchestrator.flow import COURSES

        self.withheld.require()
        if asked.waves is None and asked.kind not in COURSES:
            raise OrchestratorError("S115", f"{asked.root} is a {asked.kind}, which this program does not know")
        return self.engine.begin(asked.root, asked.to_json())

    def warm(self) -> None:
        """Import and read what every walk needs, so that a process that is forked need not."""
        import dbos  # noqa: F401 - it takes half a second
        import sqlalchemy.dialects.sqlite  # noqa: F401 - it imports this when it is launched

        from orchestrator.flow import COURSES  # noqa: F401

        assert self.engine is not None
        assert self.setting is not None

    def wish(self, run: Run, wish: Wish, why: str = "") -> None:
        """Write down that a person wants *run* to pause, to be cancelled or aborted; empty: to go on after all.

        What is wished of a walk in waves holds for the runs of it that go on; none of them that goes back is stopped.
        """
        self.permit_control(run, why)
        data = {"wish": wish, "by": self.person, "why": why}
        self.store.append(run.id, [Entry(kind="control", data=data)])
        for part in self.going(run.root) if run.kind == "waves" else ():
            if part.id != run.id and not (part.kind == "rollback" and wish in {"cancel", "abort"}):
                self.store.append(part.id, [Entry(kind="control", data=data)])

    def lock(self, environment: str, why: str, duration: float | None = None) -> Lease:
        """Keep every run out of *environment*, for *duration* seconds or until it is unlocked. Raises S101."""
        self.setting.environment(environment)
        self.permit_lock(environment, why)
        until = later(self.setting.clock.now(), duration) if duration else None
        held = self.store.lease(environment)
        if held is not None:
            raise busy(held, self.setting.clock.now())
        return self.store.acquire(environment, f"{LOCK}{secrets.token_hex(3)}", self.person, why, until=until)

    def unlock(self, environment: str) -> Lease | None:
        """Open *environment*; the lock that was on it. Raises S101 when a run holds it."""
        self.setting.environment(environment)
        self.permit_lock(environment)
        held = self.store.lease(environment)
        if held is not None and not held.locked:
            raise busy(held, self.setting.clock.now())
        if held is not None:
            self.store.release(environment, held.holder)
        return held

    def leftovers(self, environment: str | None = None) -> "list[Leftover]":
        """What promotions have made for themselves and could not destroy, and no process works on.

        Of *environment* all of it; without one, in every environment what is past its time. Raises R103.
        """
        from orchestrator.inspect.leftovers import leftovers

        if environment is not None:
            self.setting.environment(environment)
        now = self.setting.clock.now()
        found = [left for left in leftovers(self.setting, environment) if environment is not None or left.due(now)]
        return [left for left in found if left.run.ended or self._dead(left.run)]

    def _dead(self, run: Run) -> bool:
        return run.wish != "pause" and not self.engine.working(run.root)

    def reap(self, left: "Leftover", queue: str = "") -> Asked:
        """Write down that *left* is to be destroyed: by a run of its own, or by the one that made it, cancelled.

        What was asked for and is not done is not asked for again. Raises S101 when the environment is busy.
        """
        run = left.run
        if not run.ended:
            if run.wish != "cancel":
                self.wish(run, "cancel", "what it made is past its time")
            return self.asked(run.root)
        for work in self.store.works():
            if work.asked["kind"] == "reap" and (work.asked.get("about") or {}).get("run") == run.id:
                return Asked.from_json(work.asked)
        return self.ask("reap", None, (run.environment,), queue=queue, about={"run": run.id})

    def present(self, root: str) -> Run:
        """The run of *root* that goes on, or its last one; of a walk in waves always that of all of it. Raises R101."""
        runs = self.store.runs_of(root)[::-1]
        if not runs:
            raise OrchestratorError("R101", f"there is no run {root!r}")
        walk = next((run for run in runs if run.kind == "waves"), None)
        return walk or next((run for run in runs if not run.ended), runs[0])

    def coming(self) -> dict[str, list[dict[str, Any]]]:
        """The walks in waves that come to each environment with a wave that has not begun, as JSON data."""
        from orchestrator.domain.story import Story

        found: dict[str, list[dict[str, Any]]] = {}
        for work in self.store.works():
            asked = Asked.from_json(work.asked)
            run = self.present(work.root) if asked.waves is not None else None
            walk = Story.of(run, self.store.records(run.id)).walk if run is not None else None
            for wave in walk.story if walk is not None else ():
                for station in wave.environments:
                    if station.state == "waiting" and asked.release is not None:
                        release = asked.release.to_json()
                        about = {"run": work.root, "wave": wave.number, "release": release, "by": asked.by}
                        found.setdefault(station.environment, []).append(about)
        return found

    def going(self, root: str) -> list[Run]:
        """The runs of *root* that have not ended, oldest first."""
        return [run for run in self.store.runs_of(root) if not run.ended]

    def paused(self, root: str) -> bool:
        """Whether nothing of *root* goes on because a person has paused it."""
        runs = self.going(root)
        parts = [run for run in runs if run.kind != "waves"] or runs
        return any(run.wish == "pause" for run in runs if run.kind == "waves") or (
            bool(parts) and all(run.wish == "pause" for run in parts)
        )

    def _walk(self, durable: Parallel, tenure: Tenure, data: dict[str, Any]) -> dict[str, Any]:
        """From environment to environment, until one does not end well. Replayed after a crash."""
        from orchestrator.flow import COURSES
        from orchestrator.flow.course import Course
        from orchestrator.flow.recorder import Prefixed
        from orchestrator.inspect.leftovers import apart

        asked = Asked.from_json(data)
        if asked.release is not None:
            self.secrets.learn_names((asked.release.name, asked.release.version))
        if asked.waves is not None:
            return self._in_waves(asked, durable, tenure, data.get("part"))
        ended: list[str] = []
        for environment in asked.targets:
            run = asked.run(environment, durable.step(f"{environment}.requested", self.setting.clock.now))
            self.store.create(run)
            steps: Durable = Prefixed(durable, environment)
            if asked.again is not None and environment == asked.targets[0]:
                steps = _Seeded(steps, self._before(asked.again))
            course = Course(
                apart(self._connected(environment), environment, asked.release),
                steps,
                run,
                approved=asked.plan,
                wait=asked.wait,
                named=Named.from_json(asked.about.get("named") or {}),
                again=str(asked.about.get("again") or ""),
                overrun=bool(asked.about.get("overrun")),
                tenure=tenure,
            )
            done = COURSES[asked.kind](course)
            ended.append(done.id)
            if self.exit_of(done.id) is not Exit.OK:
                break
        return {"runs": ended}

    def _in_waves(self, asked: Asked, durable: Parallel, tenure: Tenure, part: dict[str, Any] | None) -> dict[str, Any]:
        """A walk in waves, or one *part* of it: a run in one of its environments."""
        from orchestrator.flow import walk

        way = asked.way()
        if way is None:
            raise RuntimeError("a walk in waves without a release")
        if part is None:
            walk.Walk(self.setting, durable, tenure, way).go()
            return {"runs": [asked.root]}
        one = walk.Part.from_json(part)
        return walk.one(self._apart(one.environment), durable, tenure, way, one)

    def _before(self, again: Again) -> dict[str, Any]:
        """What came of the steps before the one that is done again; the lease is taken anew."""
        found: dict[str, Any] = {}
        for record in self.store.records(again.run):
            if record.kind == "step.finished" and record.step == again.step:
                break
            if record.kind == "step.finished" and record.step != "lease":
                found[record.step] = record.data
        return found

    def printed(self, run: str) -> Iterator[Printed]:
        """What each job of *run* has printed: from its folder when it ran here, else from where it is shared.

        What is fetched is kept here. Raises S-codes when it cannot be.
        """
        here, kept = self.state / "jobs", self.state / "logs"
        records = {str(record.data["job"]): record for record in self.store.records(run) if record.kind == "log"}
        local = {path.parent.name for path in here.glob(f"{run}.*/output.log") if path.stat().st_size}
        for job in [*records, *sorted(local - set(records))]:
            file, data = here / job / "output.log", records[job].data if job in records else {}
            if not file.is_file():
                file = kept / str(data["digest"]).removeprefix("sha256:")
            if not file.is_file():
                kept.mkdir(exist_ok=True, mode=0o700)
                self.artifacts.get(str(data["digest"]), file)
            yield Printed(job, job.removeprefix(f"{run}."), file, data.get("digest"))

    def written(self, run: str) -> "Iterator[tuple[str, Path, list[dict[str, Any]]]]":
        """What the playbooks of *run* wrote on this machine: each job, the folder of its files, and their list."""
        import json

        for listing in sorted((self.state / "jobs").glob(f"{run}.*/files.json")):
            files = json.loads(listing.read_text(encoding="utf-8"))
            if files:
                yield listing.parent.name, listing.parent / "files", files

    def exit_of(self, run: str) -> Exit:
        """How the command ends for a run that has ended."""
        return recorded_exit(self.store.records(run))

    def detach(self, run: Run) -> None:
        """Record that *run* goes on without the process that asked for it: it keeps its place in the queue."""
        data = {"level": "info", "text": "detached: it keeps its place in the queue", "detached": True}
        self.store.append(run.id, [Entry(kind="notice", data=data, key=DETACHED)])

    def detached(self, run: Run) -> bool:
        """Whether *run* was detached from the process that asked for it."""
        return self.store.knows(run.id, DETACHED)

    def working(self, root: str) -> bool:
        """Whether a process works on *root*; one that was just started for it counts."""
        return root in self.resuming or self.engine.working(root)

    def facts(self, environment: str) -> "EnvironmentFacts":
        """What is true of *environment* now, from the journal. Raises R103."""
        from orchestrator.inspect.facts import facts_of

        return facts_of(self.setting, environment, self.working)

    def facts_of_all(self, environments: tuple[str, ...]) -> "list[EnvironmentFacts]":
        """What is true of each of *environments* now, read in a few queries for all of them."""
        from orchestrator.inspect.facts import facts_of_all

        return facts_of_all(self.setting, environments, self.working)

    def queue_facts(self, environments: tuple[str, ...]) -> "dict[str, QueueFacts]":
        """The queue of each of *environments*."""
        from orchestrator.inspect.facts import queue_facts

        return queue_facts(self.store, environments, self.working)

    def run_facts(self, run: Run) -> "RunFacts":
        """*run*, and what it does now."""
        from orchestrator.inspect.facts import run_facts

        return run_facts(self.store, run, self.store.queue(run.environment), self.working)

    def interrupted(self, run: Run) -> bool:
        """Whether *run* has not ended, no process works on it, and it is neither paused nor left to a worker."""
        return self.run_facts(run).interrupted

    def prune(self, *, dry_run: bool = False) -> "Removable":
        """Remove what the project's rule of retention lets go, or only name it. Raises S200."""
        from orchestrator.engine.points import reached
        from orchestrator.flow.prune import Records, prune, removable

        engine = self.engine
        records = Records(engine.complete_requests, engine.alone, engine.forget, lambda at: reached(f"prune {at}"))
        return (removable if dry_run else prune)(self.setting, records)

    def stop_softly(self) -> None:
        """Park before the next effect; what goes on now is finished first."""
        self.engine.brake.pull()

    @property
    def parked(self) -> bool:
        """Whether the walk stands still, so that the process can end and the run be resumed."""
        return self.engine.brake.parked.is_set()

    @property
    def deposed(self) -> bool:
        """Whether another process has taken over what this one was doing."""
        return self.engine.brake.lost.is_set()

    def close(self) -> None:
        """Give everything back that was opened."""
        if "engine" in self.__dict__:
            self.engine.close()
        if "store" in self.__dict__:
            self.store.close()


class _Seeded:
    """Steps of a walk that goes on from another one: those that are known are not done again."""

    def __init__(self, durable: Durable, known: Mapping[str, Any]) -> None:
        self._durable, self._known = durable, known

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """What is known, or the step."""
        return self._known[name] if name in self._known else self._durable.step(name, work)

    def sleep(self, name: str, seconds: float, awake: Callable[[], bool] = lambda: False) -> None:
        """The wait."""
        self._durable.sleep(name, seconds, awake)


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


def collections_folder() -> Path:
    """The folder that holds our own collection."""
    return Path(__file__).resolve().parent / "ansible"


def templates_folder() -> Path:
    """The folder with the templates of `init`."""
    return Path(__file__).resolve().parent / "templates"


def open_app(start: Path, environ: Mapping[str, str] = os.environ) -> App:
    """The project around *start*. Raises F-codes, and S135 when a restore of its state was interrupted."""
    app = App(files.find_project(start), environ)
    if (app.state / "restoring" / "old").is_dir():
        raise OrchestratorError("S135", "a restore of this project's state was interrupted")
    return app
