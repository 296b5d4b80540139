"""What the project of these tests tells release management."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.implementation import ImplementationTemplate
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.release import PackageRef
from orchestrator.management.bookings.ports import Use
from orchestrator.management.change_requests.model import ChangeDraft
from orchestrator.management.change_requests.ports import BuiltRelease, FactChanges
from orchestrator.management.change_requests.risk import ChangeFacts, PackageFacts
from orchestrator.management.hooks.model import HookEvent
from orchestrator.management.implementation_plans.ports import TemplateFile
from orchestrator.management.planned_releases.notes import PackageDifference
from orchestrator.management.planned_releases.ports import PackagePlace
from orchestrator.management.projects.model import Portfolio
from orchestrator.management.reviews.model import ReviewFacts
from orchestrator.management.reviews.ports import ReviewedRun

DRAFT = ChangeDraft(title="Sell gift cards", reason="asked for", packages=("shop",), environments=("production",))


@dataclass
class Sources:
    """What the project of these tests tells change requests."""

    drifting: tuple[str, ...] = ()
    rehearsed_s: float | None = 60.0
    asked: list[tuple[str, ...]] = field(default_factory=list)
    changes: FactChanges | None = field(default_factory=lambda: FactChanges("0.1"))

    def known_packages(self) -> frozenset[str]:
        return frozenset({"shop"})

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        return ()

    def change_facts(self, packages: tuple[str, ...], environments: tuple[str, ...]) -> ChangeFacts:
        self.asked.append(packages)
        facts = [PackageFacts(package=name, promotions=9, rehearsed_s=self.rehearsed_s) for name in packages]
        return ChangeFacts(packages=tuple(facts), drifting=tuple(e for e in self.drifting if e in environments))

    def fact_changes(self, cursor: str | None) -> FactChanges | None:
        return self.changes if cursor is not None else None

    def journal_end(self) -> str:
        return "0.1"

    def running_release(self, environment: str) -> BuiltRelease:
        return BuiltRelease(f"shop 1.0.0 of {environment}", "1" * 40)


class NoProjects:
    """A server on which nobody may view any project."""

    def seen_by(self, actor: Actor) -> Portfolio:
        """Nothing."""
        del actor
        return Portfolio(projects=())


@dataclass
class MeasureFacts:
    """What the project of these tests tells measures."""

    runs: tuple[Run, ...] = ()
    failed_at: dict[str, datetime] = field(default_factory=dict)
    commits: dict[str, datetime] = field(default_factory=dict)

    def previous(self) -> dict[str, str | None]:
        return {"production": "staging", "staging": None}

    def ended_runs(self, environment: str, since: datetime) -> tuple[Run, ...]:
        ended = (run for run in self.runs if run.environment == environment and run.ended_at is not None)
        return tuple(run for run in ended if parse_moment(run.ended_at or "") >= since)

    def failures(self, runs: tuple[str, ...]) -> dict[str, datetime]:
        return {run: self.failed_at[run] for run in runs if run in self.failed_at}

    def commit_times(self, releases: frozenset[PackageRef]) -> dict[str, datetime]:
        return {each.digest: self.commits[each.digest] for each in releases if each.digest in self.commits}


@dataclass
class BookingFacts:
    """What the project of these tests tells bookings."""

    depends: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"staging": (), "production": ()})
    approvals: dict[str, int] = field(default_factory=dict)

    def declared_rules(self) -> tuple[CalendarRule, ...]:
        return ()

    def depends_on(self) -> dict[str, tuple[str, ...]]:
        return self.depends

    def approvals_needed(self, environment: str) -> int:
        return self.approvals.get(environment, 0)

    def uses(self, environments: tuple[str, ...], since: datetime) -> Mapping[str, tuple[Use, ...]]:
        return {name: (Use(name, "ann", since, since, since),) for name in environments}


SHOP = PackageRef(name="shop", version="1.5.0", digest=f"sha256:{'1' * 64}")


@dataclass
class ReleaseFacts(BookingFacts):
    """What the project of these tests tells planned releases."""

    refs: list[PackageRef] = field(default_factory=lambda: [SHOP])
    places: dict[str, PackagePlace] = field(default_factory=dict)
    found: PackageDifference = field(default_factory=PackageDifference)

    def built(self) -> tuple[PackageRef, ...]:
        return tuple(self.refs)

    def place(self, environment: str, package: PackageRef) -> PackagePlace:
        del environment
        return self.places.get(package.name, PackagePlace())

    def difference(self, environment: str, before: PackageRef, after: PackageRef) -> PackageDifference:
        assert {environment} <= set(self.depends)
        assert before != after
        return self.found


@dataclass
class ImplementationFacts:
    """What the project of these tests tells implementation plans: one template with these *tasks*."""

    tasks: tuple[dict[str, Any], ...] = ({"name": "check", "owner": "root"}, {"name": "decide", "kind": "decision"})

    def template_names(self) -> tuple[str, ...]:
        return ("launch",)

    def template(self, name: str) -> TemplateFile:
        data = {
            "apiVersion": "orchestrator/v1",
            "kind": "ImplementationTemplate",
            "title": "Launch",
            "tasks": self.tasks,
        }
        return TemplateFile(name, ImplementationTemplate.from_json(data), f"sha256:{'1' * 64}")


@dataclass
class ReviewJournal:
    """What the project of these tests tells reviews: *runs* that ended, each with why it is reviewed."""

    runs: tuple[ReviewedRun, ...] = ()
    facts: ReviewFacts = field(default_factory=ReviewFacts)

    def reviewed_runs(self, since: datetime, emergencies: frozenset[str]) -> tuple[ReviewedRun, ...]:
        del emergencies
        return tuple(each for each in self.runs if parse_moment(each.run.ended_at or "") >= since)

    def run_facts(self, run: str) -> ReviewFacts:
        del run
        return self.facts

    def runs_of(self, environment: str, name: str, digest: str, since: datetime) -> tuple[Run, ...]:
        del name, digest, since
        return tuple(each.run for each in self.runs if each.run.environment == environment)

    def run(self, run: str) -> Run:
        return next(each.run for each in self.runs if each.run.id == run)


@dataclass
class HookProject:
    """What the project of these tests tells hooks; *built* are the builds that were made."""

    fault: str = ""
    is_pushed: bool = False
    built: list[tuple[str, str, str]] = field(default_factory=list)

    def seal(self, hook: str, secret: str) -> str:
        return f"{hook} {secret[::-1]}"

    def open_secret(self, hook: str, sealed: str) -> str:
        return sealed.removeprefix(f"{hook} ")[::-1]

    def release_names(self) -> frozenset[str]:
        return frozenset({"shop"})

    def entry_environments(self) -> tuple[str, ...]:
        return ("staging",)

    def checkout_fault(self) -> str:
        return self.fault

    def build_fault(self) -> str:
        return self.fault if self.is_pushed else ""

    def build(self, actor: Actor, release: str, event: HookEvent) -> PackageRef:
        self.built.append((actor.name, release, event.commit))
        return SHOP
