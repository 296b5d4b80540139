"""The parts of a project that are about release management."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from orchestrator.hook_wiring import HookParts, ProjectReviewSources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from orchestrator.app.application import Application
    from orchestrator.app.bookings import Bookings
    from orchestrator.app.front_end import ApplicationParts
    from orchestrator.app.package_uses import PackageUses
    from orchestrator.app.request_duties import Shows
    from orchestrator.app.scheduler import Duty
    from orchestrator.domain.admission.may_start import PathFacts
    from orchestrator.domain.approval.policy import Requirement
    from orchestrator.domain.calendar.rules import CalendarRule
    from orchestrator.domain.journal import Run
    from orchestrator.domain.release import PackageRef, Revision
    from orchestrator.management.application import ManagedApplication
    from orchestrator.management.bookings.ports import BookingSources, Use
    from orchestrator.management.change_requests.file import ChangeFile
    from orchestrator.management.change_requests.ports import (
        BuiltRelease,
        ChangeSources,
        CommitRange,
        FactChanges,
        ImportFiles,
    )
    from orchestrator.management.change_requests.risk import ChangeFacts
    from orchestrator.management.implementation_plans.ports import ImplementationSources
    from orchestrator.management.measures.ports import MeasureSources
    from orchestrator.management.planned_releases.notes import ChangedFile, NoteSources, PackageDifference
    from orchestrator.management.planned_releases.ports import PackagePlace
    from orchestrator.management.projects.ports import ProjectSources
    from orchestrator.management.reviews.ports import ReviewSources
    from orchestrator.management.trains.ports import ReleaseShape, TrainSources

    Base = ApplicationParts
else:
    Base = object


class ManagementParts(HookParts, Base):
    """What `App` has of release management. Each part is made when it is first used."""

    @cached_property
    def change_sources(self) -> "ChangeSources":
        """The facts of change requests."""
        return ProjectChangeSources(self)

    @property
    def import_files(self) -> "ImportFiles":
        """What change requests are imported from."""
        return LocalImportFiles(self.root, self.environ)

    @cached_property
    def booking_sources(self) -> "BookingSources":
        """The facts of bookings."""
        return ProjectBookingSources(self)

    @cached_property
    def release_sources(self) -> "NoteSources":
        """The facts of planned releases."""
        return ProjectReleaseSources(self)

    @cached_property
    def implementation_sources(self) -> "ImplementationSources":
        """The facts of implementation plans."""
        from orchestrator.task_wiring import ProjectImplementationSources

        return ProjectImplementationSources(self)

    @cached_property
    def train_sources(self) -> "TrainSources":
        """The facts of release trains."""
        return ProjectTrainSources(self)

    @cached_property
    def measure_sources(self) -> "MeasureSources":
        """The facts of measures."""
        return ProjectMeasureSources(self)

    @cached_property
    def project_sources(self) -> "ProjectSources":
        """The projects that are served together: this one, unless a server serves it with others."""
        from orchestrator.management.projects.served import OneProject

        return OneProject(cast("ManagedApplication", self))

    @cached_property
    def review_sources(self) -> "ReviewSources":
        """The facts of reviews."""
        return ProjectReviewSources(self)

    @cached_property
    def bookings(self) -> "Bookings":
        """What keeps others out of environments."""
        from orchestrator.management.bookings.admission import RegisterBookings

        return RegisterBookings(self.booking_sources.depends_on)

    @property
    def package_uses(self) -> "PackageUses":
        """What has a package that no environment has seen."""
        from orchestrator.management.package_uses import RegisterPackageUses

        return RegisterPackageUses()

    def management_duties(self, shows: "Shows") -> "tuple[Duty, ...]":
        """What the scheduler does for release management. New plans are shown to approvers by *shows*."""
        from orchestrator.management.bookings.duties import AdvanceBookings
        from orchestrator.management.change_requests.duties import RankRequests
        from orchestrator.management.implementation_plans.automation import ExecuteTasks
        from orchestrator.management.implementation_plans.duties import AdvanceImplementations
        from orchestrator.management.implementation_plans.executions import ApplicationExecutions
        from orchestrator.management.implementation_plans.run_steps import ContinueRuns, JournalRuns
        from orchestrator.management.planned_releases.duties import FollowReleases
        from orchestrator.management.reviews.duties import OpenReviews
        from orchestrator.management.trains.duties import AdvanceTrains, DriveTrains
        from orchestrator.management.trains.executions import ApplicationTrains

        return (
            AdvanceBookings(self.acting, self.booking_sources),
            RankRequests(self.acting, self.change_sources),
            FollowReleases(self.acting, self.release_sources),
            OpenReviews(self.acting, self.review_sources),
            AdvanceImplementations(self.acting),
            ExecuteTasks(self.acting, ApplicationExecutions(cast("ManagedApplication", self), self.store, shows)),
            ContinueRuns(self.acting, JournalRuns(self.store)),
            AdvanceTrains(self.acting, self.train_sources),
            DriveTrains(self.acting, ApplicationTrains(cast("Application", self), self.store, shows)),
            self.hook_duty(shows),
        )


class ProjectChangeSources:
    """The `ChangeSources` of a project: its files and its journal."""

    def __init__(self, app: "ApplicationParts") -> None:
        self._app = app

    def known_packages(self) -> frozenset[str]:
        """The names of the releases in the project, and of the kept packages."""
        from orchestrator.config.references import release_names

        files = release_names(self._app.root, self._app.project.releases)
        return frozenset(files | {ref.name for ref in self._app.packages.refs()})

    def declared_rules(self) -> "tuple[CalendarRule, ...]":
        """The calendar entries of the environments' files."""
        return self._app.declared_rules()

    def change_facts(self, packages: tuple[str, ...], environments: tuple[str, ...]) -> "ChangeFacts":
        """What the journal has of *packages* in *environments*."""
        from orchestrator.management.change_requests.facts import change_facts

        return change_facts(self._app.services, packages, environments)

    def fact_changes(self, cursor: str | None) -> "FactChanges | None":
        """What the journal has had entries about after *cursor*; None if that is not known."""
        from orchestrator.management.change_requests.facts import fact_changes

        return fact_changes(self._app.store, cursor)

    def journal_end(self) -> str:
        """The cursor of the newest entry of the journal."""
        return self._app.store.feed_end() or "0.0"

    def running_release(self, environment: str) -> "BuiltRelease":
        """The release that was verified last in *environment*. Raises G104 without one or its commit, and R103."""
        from orchestrator.domain.errors import OrchestratorError
        from orchestrator.management.change_requests.ports import BuiltRelease

        self._app.services.environment(environment)
        mark = next(iter(self._app.store.verified(environment, limit=1)), None)
        if mark is None:
            raise OrchestratorError("G104", f"no release was verified in {environment}")
        revision = self._app.packages.revision(mark.release.digest)
        if revision is None:
            raise OrchestratorError("G104", f"{mark.release} in {environment} has no Git revision")
        return BuiltRelease(str(mark.release), revision.commit)


class LocalImportFiles:
    """The `ImportFiles` of this machine, with the Git repository around *folder*."""

    def __init__(self, folder: Path, environ: "Mapping[str, str]") -> None:
        self._folder, self._environ = folder, environ

    def commits_after(self, base: str) -> "CommitRange":
        """The commits after *base*. Raises P119."""
        from orchestrator.adapters.archive.tree import commits_after
        from orchestrator.management.change_requests.ports import CommitRange

        return CommitRange(*commits_after(self._folder, base, self._environ))

    def read_file(self, file: Path) -> "ChangeFile":
        """The change requests in *file*. Raises F-codes."""
        from orchestrator.config.diagnose import build
        from orchestrator.config.source import read_source
        from orchestrator.management.change_requests.file import ChangeFile

        return build(read_source(file, file.name), ChangeFile)

    def read_text(self, text: str, name: str) -> "ChangeFile":
        """The change requests in the *text* of a file called *name*. Raises F-codes."""
        from orchestrator.config.diagnose import build
        from orchestrator.config.source import parse
        from orchestrator.management.change_requests.file import ChangeFile

        return build(parse(text, name), ChangeFile)


class ProjectBookingSources:
    """The `BookingSources` of a project: its files and its journal."""

    def __init__(self, app: "ApplicationParts") -> None:
        self._app = app

    def declared_rules(self) -> "tuple[CalendarRule, ...]":
        """The calendar entries of the environments' files."""
        return self._app.declared_rules()

    def depends_on(self) -> "Mapping[str, tuple[str, ...]]":
        """The environments that each environment needs."""
        return {name: item.depends_on for name, (item, _) in self._app.environments.items()}

    def approvals_needed(self, environment: str) -> int:
        """How many approvals an ordinary promotion needs at the lowest level of risk."""
        from orchestrator.domain.risk.kinds import ChangeKind, Level
        from orchestrator.planning.admission import approval_rules

        found = approval_rules(self._app.services).requirement("", environment, Level.LOW, ChangeKind.NORMAL)
        return max((quorum.count for quorum in found.quorums), default=0)

    def uses(self, environments: tuple[str, ...], since: "datetime") -> "Mapping[str, tuple[Use, ...]]":
        """The runs that had each of *environments* after *since*."""
        from orchestrator.management.bookings.facts import uses_of

        return uses_of(self._app.services, environments, since)


class ProjectReleaseSources(ProjectBookingSources):
    """The `ReleaseSources` of a project: its packages, its files and its journal."""

    def built(self) -> "Iterable[PackageRef]":
        """The kept packages."""
        return self._app.packages.refs()

    def place(self, environment: str, package: "PackageRef") -> "PackagePlace":
        """What the journal has of *package* in *environment*."""
        from orchestrator.management.planned_releases.facts import package_place

        return package_place(self._app.services, environment, package)

    def difference(self, environment: str, before: "PackageRef", after: "PackageRef") -> "PackageDifference":
        """What differs between two kept packages, for their use in *environment*. Raises P-codes."""
        from orchestrator.adapters.archive.compare import compare_packages
        from orchestrator.management.planned_releases.notes import ChangedFile, FileDifference, PackageDifference

        packages = [self._app.packages.fetch(ref.digest) for ref in (before, after)]
        found = compare_packages(Path(packages[0].path), Path(packages[1].path), self._app.root)
        files = (
            FileDifference(ChangedFile(change=each.change, path=each.path, area=each.area), each.diff or ())
            for each in found.files
        )
        return PackageDifference(
            files=tuple(files),
            fields=tuple(field.field for field in found.fields),
            commits=found.commits,
            commits_unknown=found.commits_unknown,
            suites=tuple(sorted({suite for each in packages for suite in each.manifest.release.suites()})),
            infrastructure=self._infrastructure(environment, found.revisions) if found.commits is not None else (),
        )

    def _infrastructure(
        self, environment: str, revisions: "tuple[Revision | None, Revision | None]"
    ) -> "tuple[ChangedFile, ...]":
        """The files of the environment and its Pulumi program in which the commits of two packages differ."""
        from orchestrator.adapters.archive.tree import files_between
        from orchestrator.management.planned_releases.notes import CHANGES, ChangedFile

        before, after = revisions
        assert before is not None
        assert after is not None
        found = files_between(self._app.root, before, after, self._programs(environment), self._app.environ)
        return tuple(ChangedFile(change=CHANGES[state], path=path, area="environment") for state, path in found)

    def _programs(self, environment: str) -> tuple[str, ...]:
        """The folders of *environment* with its infrastructure, relative to the project."""
        item, folder = self._app.environments[environment]
        root, own = self._app.root.resolve(), folder.resolve()
        places = [own, *([(own / item.program).resolve()] if item.program is not None else [])]
        return tuple(dict.fromkeys(str(each.relative_to(root)) for each in places if each.is_relative_to(root)))


class ProjectTrainSources(ProjectBookingSources):
    """The `TrainSources` of a project: its packages, its files and its journal."""

    def built(self) -> "Iterable[PackageRef]":
        """The kept packages."""
        return self._app.packages.refs()

    def shape(self, package: "PackageRef") -> "ReleaseShape | None":
        """What is declared by *package*; None if it is not kept."""
        from orchestrator.management.trains.journal_facts import shape_of

        return shape_of(self._app.services, package)

    def path(self, environment: str, package: "PackageRef") -> "PathFacts":
        """What the journal has of *package* on its path into *environment*."""
        from orchestrator.planning.path_facts import path_facts_of_record

        return path_facts_of_record(self._app.services, package, environment)

    def needed(self, environment: str, package: "PackageRef") -> "Requirement":
        """The approvals that an ordinary promotion needs at the lowest level of risk."""
        from orchestrator.domain.risk.kinds import ChangeKind, Level
        from orchestrator.planning.admission import approval_rules

        rules = approval_rules(self._app.services)
        return rules.requirement(package.name, environment, Level.LOW, ChangeKind.NORMAL)

    def current(self, environment: str, name: str) -> "PackageRef | None":
        """The package called *name* that was verified last in *environment*."""
        from orchestrator.management.trains.journal_facts import current_package

        return current_package(self._app.services, environment, name)

    def newest(self, environment: str) -> "PackageRef | None":
        """The package that was verified last in *environment*."""
        mark = next(iter(self._app.store.verified(environment, limit=1)), None)
        return mark.release if mark is not None else None

    def undone_with(self, environment: str, package: "PackageRef") -> "tuple[PackageRef, ...]":
        """The releases with an undo playbook that a rollback to *package* undoes as well."""
        from orchestrator.management.trains.journal_facts import undone_with

        return undone_with(self._app.services, environment, package)


class ProjectMeasureSources:
    """The `MeasureSources` of a project: its files, its journal, its packages and its Git repository."""

    def __init__(self, app: "ApplicationParts") -> None:
        self._app = app

    def previous(self) -> "Mapping[str, str | None]":
        """The environments, each with the previous one on its path."""
        return {name: self._app.environments[name][0].after for name in sorted(self._app.environments)}

    def ended_runs(self, environment: str, since: "datetime") -> "tuple[Run, ...]":
        """The promotions and rollbacks in *environment* that ended after *since*."""
        from orchestrator.management.measures.facts import ended_runs

        return ended_runs(self._app.services, environment, since)

    def failures(self, runs: tuple[str, ...]) -> "Mapping[str, datetime]":
        """The time of the first failure of *runs*."""
        from orchestrator.management.measures.facts import failures

        return failures(self._app.services, runs)

    def commit_times(self, releases: "frozenset[PackageRef]") -> "Mapping[str, datetime]":
        """The time of the commit of each of *releases*, by digest. A project without Git has none."""
        from contextlib import suppress

        from orchestrator.adapters.archive.tree import commit_times
        from orchestrator.domain.errors import OrchestratorError
        from orchestrator.domain.moments import parse_moment

        commits: dict[str, str] = {}
        for release in releases:
            with suppress(OrchestratorError):  # a package that is not kept any more
                revision = self._app.packages.revision(release.digest)
                commits |= {release.digest: revision.commit} if revision is not None else {}
        if not commits:
            return {}
        times = commit_times(self._app.root, frozenset(commits.values()), self._app.environ)
        return {digest: parse_moment(times[commit]) for digest, commit in commits.items() if commit in times}
