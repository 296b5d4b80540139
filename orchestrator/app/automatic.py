"""Automatic promotion: a duty of the scheduler for the environments with `promote: automatic`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from orchestrator.app.acting import Acting, Change, View, access_of, change
from orchestrator.app.admission import admission
from orchestrator.app.parts import Parts
from orchestrator.app.requests import Promote
from orchestrator.app.scheduler import do_each
from orchestrator.app.submit import record_request
from orchestrator.domain.access.actions import Action
from orchestrator.domain.admission.conditions import Admission
from orchestrator.domain.journal import PROMOTION_KINDS
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import Now
from orchestrator.domain.release import Package
from orchestrator.planning.admission import approval_rules
from orchestrator.planning.candidates import candidate
from orchestrator.planning.targets import runs_there
from orchestrator.register_ports import Records

QUEUE = "default"
"""The workers that execute automatic promotions."""


class AutomaticPromotions:
    """Requests the promotion of what was verified in the environment before, once every condition is met.

    A release is promoted automatically at most once after each of its verifications. After a rollback in the
    environment nothing is, until a user has promoted a release to it. Where a vote may be needed, a user requests it.
    """

    name = "automatic promotions"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def due(self, now: Now) -> bool:
        """Whether any environment promotes automatically."""
        del now
        return any(environment.promote == "automatic" for environment, _ in self._parts.environments.values())

    def do(self, acting: Acting, now: Now) -> Iterable[str]:
        """Request each promotion that may start."""
        del now
        places = [name for name, (each, _) in self._parts.environments.items() if each.promote == "automatic"]
        yield from do_each(places, lambda name: self._promote(acting, name))

    def _promote(self, acting: Acting, name: str) -> Iterator[str]:
        package = self._candidate(name)
        if package is not None and approval_rules(self._parts.services).govern(package.ref.name, name):
            return
        if package is None or not self._admission(acting, package, name).may_start:
            return
        place = f"environment:{name}"

        def work(task: Change) -> None:
            task.record(place, detail={"release": str(package.ref), "digest": package.digest})

        change(acting, Action.PROMOTE, work, environment=name, reason="promote: automatic")
        request = Promote(package=package.ref, targets=(name,))
        recorded = record_request(self._parts, acting.actor, request, QUEUE)
        yield f"{recorded.name} promotes {package.ref} to {name}, verified in {self._parts.environments[name][0].after}"

    def _candidate(self, name: str) -> Package | None:
        """The package that *name* gets next, unless it was promoted there since its verification; None: none is."""
        services = self._parts.services
        release = candidate(services, name)
        if release is None or runs_there(services, name, release):
            return None
        before = services.environment(name)[0].after or ""
        verified_at = services.store.verified(before, release.digest, limit=1)[0].at
        chosen = RunFilter(environment=name, digest=release.digest, kinds=tuple(PROMOTION_KINDS))
        if any(run.requested_at >= verified_at for run in services.store.list_runs(chosen, limit=1).items):
            return None
        kept = {ref.digest for ref in self._parts.packages.refs()}
        package = self._parts.packages.fetch(release.digest) if release.digest in kept else None
        return package if package is not None and name in package.manifest.release.environments else None

    def _admission(self, acting: Acting, package: Package, name: str) -> Admission:
        promotion = self._parts.promotion(package, name)

        def work(records: Records) -> Admission:
            view = View(acting, records, access_of(records), acting.now(records))
            return admission(view, replace(promotion, overrun=False), acting.actor)

        return acting.register.reading(work)
