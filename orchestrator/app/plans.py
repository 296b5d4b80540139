"""Plans: what a promotion or a rollback would do."""

import os
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from orchestrator.app.acting import read_own
from orchestrator.app.admission import check_promotion
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.execute import isolated
from orchestrator.app.named_checks import require_known_roles
from orchestrator.app.parts import Parts
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.directory import Access
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import PROMOTION_KINDS
from orchestrator.domain.plan import NOTHING, Acknowledgements, Plan, PlanAction
from orchestrator.domain.release import Package
from orchestrator.domain.risk.assessment import Risk
from orchestrator.domain.rollback_plan import RollbackForecast, RollbackPlan
from orchestrator.domain.wave_plan import PlannedEnvironment, WavePlan
from orchestrator.domain.waves import Waves
from orchestrator.flow import wave_rollout
from orchestrator.inspect import leftovers
from orchestrator.inspect.release_history import RestorePoint
from orchestrator.planning import admission, make, plan_store
from orchestrator.planning.refusal import plan_refusal
from orchestrator.planning.risk import plan_risk
from orchestrator.planning.rollback_plan import current_rollback_plan, preview_rollback
from orchestrator.planning.rollback_target import left_over
from orchestrator.planning.survey import PlanRequest
from orchestrator.planning.targets import targets as find_targets
from orchestrator.services import Services

AT_ONCE = 4  # environments whose plans are made side by side


class Plans(UseCases):
    """The use cases about plans."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts = parts

    @use_case(Action.PLAN)
    def make(
        self,
        actor: Actor,
        package: Package,
        environment: str,
        *,
        action: PlanAction = "promote",
        check: bool = True,
        skip_irreversible: bool = False,
        all_at_once: bool = False,
        named: Acknowledgements = NOTHING,
        then: RestorePoint | None = None,
        rehearse: bool = False,
        coming: frozenset[str] = frozenset(),
    ) -> Plan:
        """Make and keep a plan; with *rehearse* of a rehearsal. Changes nothing outside. Raises S193 and F140.

        *coming* are environments to which the package is promoted before.
        """
        self._parts.withheld.require()
        job = f"plan-{secrets.token_hex(4)}"
        wanted = PlanRequest(
            package,
            environment,
            action,
            check=check,
            skip_irreversible=skip_irreversible,
            all_at_once=all_at_once,
            named=named,
            then=then,
            rehearse=rehearse,
            coming=coming,
        )
        self._require_roles(actor, (environment,) if action == "promote" else ())
        services = leftovers.with_ephemeral_stack(self._services(actor), environment, package.ref)
        made = make.make(services, wanted, job, lambda _entry: None)
        plan_store.save(self._parts.services, made)
        self._parts.deployer.close()
        return made

    def _services(self, actor: Actor) -> Services:
        """What plans for *actor* are made with."""
        return replace(self._parts.services, findings=self._parts.findings.of(str(actor), ""))

    def _require_roles(self, actor: Actor, environments: Iterable[str]) -> None:
        """Return if the project has every role that the rules of *environments* name. Raises F140 with the places."""
        folders = [self._parts.environments[name][1] for name in environments if name in self._parts.environments]
        access = read_own(self._parts.acting_as(actor), lambda view: view.access) if folders else Access()
        for folder in folders:
            require_known_roles(self._parts.root, folder, access)

    @use_case(Action.PLAN)
    def document(self, actor: Actor, plan: Plan | WavePlan) -> dict[str, object]:
        """The *plan* as a document with an authentication code of this project. Raises S150 and S151."""
        return plan_store.document(self._parts.services, plan)

    @use_case(Action.PLAN)
    def kept_document(self, actor: Actor, digest: str) -> dict[str, object]:
        """The document of the plan that is kept under the whole *digest*. Raises R121, R122, S150, S151, R240 to R242.

        A client gets the authentication code of a plan only if this project has made the plan.
        """
        return plan_store.document(self._parts.services, plan_store.load_any(self._parts.services, digest))

    @use_case(Action.PLAN)
    def keep_document(self, actor: Actor, document: dict[str, object]) -> str:
        """Keep the plan in a *document* that this project has made; its digest. Raises R121, R122, and R240 to R242."""
        plan = plan_store.read_document(self._parts.services, document)
        plan_store.save(self._parts.services, plan)
        return plan.digest

    @use_case(Action.VIEW)
    def agreement(
        self, actor: Actor, package: Package, replace: tuple[str, ...], no_return: tuple[str, ...]
    ) -> Acknowledgements:
        """The losses and steps that are agreed to for *package*. Raises R206 for a step that can be undone."""
        there = [step.name for step in package.manifest.release.steps if step.undo == "impossible"]
        there += self._newer_points(package) if no_return else []
        strange = [step for step in no_return if step not in there]
        if strange:
            known = ", ".join(there) or "none"
            text = f"{package.ref} has no point of no return {', '.join(strange)} (there are: {known})"
            raise OrchestratorError("R206", text)
        return Acknowledgements(replace=replace, no_return=no_return)

    def _newer_points(self, package: Package) -> list[str]:
        """The steps that cannot be undone of the releases which took the place of *package* somewhere."""
        return [step for name in self._parts.environments for step in left_over(self._parts.services, name, package)]

    @use_case(Action.VIEW)
    def require_executable(self, actor: Actor, plan: Plan) -> None:
        """Return if *plan* can be executed by its own content. Raises its `plan_refusal`."""
        why = plan_refusal(plan)
        if why is not None:
            raise why

    @use_case(Action.PLAN)
    def make_for_waves(
        self,
        actor: Actor,
        package: Package,
        waves: Waves,
        *,
        check: bool = True,
        named: Acknowledgements = NOTHING,
        redeploy: bool = False,
    ) -> WavePlan:
        """Make and keep the plan of each environment of *waves*, and that over all of them. Changes nothing outside.

        Environments that have the release get a plan if it is to *redeploy*. Raises what `flow.waves.admit` and
        `flow.plan.make` do, F140 and S193.
        """
        self._parts.withheld.require()
        self._require_roles(actor, waves.names)
        wanted = wave_rollout.admitted_environments(self._parts.services, waves, package, redeploy=redeploy)

        def planned(name: str) -> PlannedEnvironment:
            if name not in wanted:
                return PlannedEnvironment(environment=name)
            deployer = self._parts.engines.deployer(f"process {os.getpid()}, {name}")
            services = leftovers.with_ephemeral_stack(
                replace(isolated(self._parts, name), deployer=deployer, findings=self._services(actor).findings),
                name,
                package.ref,
            )
            request = PlanRequest(package, name, check=check, named=named, coming=waves.before(name))
            plan = make.make(services, request, f"plan-{secrets.token_hex(4)}", lambda _entry: None)
            services.deployer.close()
            return PlannedEnvironment(environment=name, digest=plan.digest, plan=plan)

        self._parts.services.packages.fetch(package.digest)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            found = dict(zip(waves.names, pool.map(planned, waves.names), strict=True))
        made = WavePlan(
            project=self._parts.project.name,
            release=package.ref,
            rollout=waves,
            waves=tuple(tuple(found[name] for name in wave) for wave in waves.environments),
            redeploy=redeploy,
            created_at=self._parts.services.clock.now(),
        )
        plan_store.save(self._parts.services, made)
        return made

    @use_case(Action.VIEW)
    def needs_request(self, actor: Actor, package: str, environment: str) -> bool:
        """Whether the rules require votes for a promotion of packages called *package* into *environment*."""
        return admission.approval_rules(self._parts.services).govern(package, environment)

    @use_case(Action.VIEW)
    def risk(self, actor: Actor, plan: Plan) -> Risk:
        """The risk of *plan*, by its factors."""
        return plan_risk(self._parts.services, plan)

    @use_case(Action.VIEW)
    def waves(self, actor: Actor, name: str | None) -> Waves | None:
        """The list of waves that is called *name*; None when there is none."""
        return wave_rollout.find_waves(self._parts.services, name)

    @use_case(Action.PLAN)
    def find(self, actor: Actor, wanted: str) -> Plan | WavePlan:
        """The plan that *wanted* names: a digest (or prefix of it), or a file. Raises R121, R122, and R240 to R242."""
        if Path(wanted).is_file():
            plan = plan_store.read_plan(self._parts.services, Path(wanted))
            plan_store.save(self._parts.services, plan)
            return plan
        return self._kept(wanted)

    @use_case(Action.VIEW)
    def kept(self, actor: Actor, digest: str) -> Plan | WavePlan:
        """The kept plan with this *digest*, or prefix of it. Raises R121, R122, and R240 to R242."""
        return self._kept(digest)

    def _kept(self, wanted: str) -> Plan | WavePlan:
        start = wanted.removeprefix("sha256:")
        hexadecimal = bool(start) and set(start) <= set("0123456789abcdef")
        kept = plan_store.stored_plans(self._parts.services, start) if hexadecimal else []
        if len(kept) > 1:
            raise OrchestratorError("R121", f"{wanted!r} fits several plans: {', '.join(name[:19] for name in kept)}")
        if not kept:
            hint = (
                "write the plan to a file where it was made (orchestrator plan … --out FILE), and name that file here"
            )
            raise OrchestratorError("R121", f"there is no plan {wanted!r} on this machine", hint=hint)
        return plan_store.load_any(self._parts.services, f"sha256:{kept[0]}")

    @use_case(Action.VIEW)
    def current_rollback(self, actor: Actor, environment: str) -> RollbackPlan | None:
        """The rollback plan of the promotion that is running in *environment*; None without such a promotion.

        Raises R103, R130 to R133, and R137.
        """
        self._parts.services.environment(environment)
        last = next(iter(self._parts.store.runs(environment, limit=1)), None)
        going = last is not None and last.kind in PROMOTION_KINDS and not last.ended
        return current_rollback_plan(self._parts.services, last) if last is not None and going else None

    @use_case(Action.PLAN)
    def forecast(self, actor: Actor, plan: RollbackPlan) -> RollbackForecast | None:
        """What the rollback *plan* would do to the stack, as far as that is known before it runs. Changes nothing."""
        return preview_rollback(
            self._parts.services, self._parts.store.run(plan.run), plan, f"outlook-{secrets.token_hex(4)}"
        )

    @use_case(Action.VIEW)
    def targets(
        self,
        actor: Actor,
        package: Package,
        to: str | None,
        *,
        redeploy: bool = False,
        allow_rolled_back: bool = False,
        overrun: bool = False,
        rehearsal: bool = False,
        requested: bool = False,
    ) -> tuple[str, ...]:
        """The environments that a promotion goes to, each of which may be promoted to.

        With *redeploy* the one that *to* names counts also where the release runs already. Raises R103, R104, R108,
        and the code of each condition that the first one does not meet. A promotion that is *requested*, or that its
        rules let wait for votes, is refused only by what waiting does not change.
        """
        found = find_targets(self._parts.services, package.manifest.release, package.ref, to, redeploy=redeploy)
        if not found:
            where = to or "every environment that it declares"
            raise OrchestratorError("R108", f"nothing to do: {package.ref} already runs in {where}, and is verified")
        waits = requested or admission.approval_rules(self._parts.services).govern(package.ref.name, found[0])
        how = {"allow_rolled_back": allow_rolled_back, "overrun": overrun, "rehearsal": rehearsal, "requested": waits}
        promotion = self._parts.promotion(package, found[0], **how)
        check_promotion(self._parts.acting_as(actor), promotion)
        return tuple(found)

    @use_case(Action.VIEW)
    def wave_targets(
        self,
        actor: Actor,
        package: Package,
        waves: Waves,
        plan: WavePlan | None = None,
        *,
        allow_rolled_back: bool = False,
        redeploy: bool = False,
        overrun: bool = False,
        requested: bool = False,
    ) -> tuple[str, ...]:
        """The environments that a promotion of *package* in *waves* goes to.

        Nothing starts that would be refused later. Raises the code of each condition that an environment of the first
        wave does not meet, and the errors of `flow.wave_rollout.admitted_environments`. Raises R203 for a release that
        was rolled back, unless *allow_rolled_back*. Raises for a *plan* R220 if it was made for other waves, or the
        reason why one of its plans may not be executed.
        Whether it is to *redeploy* follows from the *plan*, if there is one. A promotion that is *requested*, or that
        the rules of an environment let wait for votes, is refused only by what waiting does not change.
        """
        redeploy = plan.redeploy if plan is not None else redeploy
        targets = wave_rollout.admitted_environments(self._parts.services, waves, package, redeploy=redeploy)
        if plan is not None:
            wave_rollout.unchanged(self._parts.services, plan)
            wave_rollout.executable(plan)
        if not allow_rolled_back:
            wave_rollout.refuse_rolled_back(self._parts.services, targets, package.ref)
        rules = admission.approval_rules(self._parts.services)
        waits = requested or any(rules.govern(package.ref.name, name) for name in targets)
        first = next(wave for wave in waves.environments if set(wave) & set(targets))
        for name in first:
            if name in targets:
                how = {"allow_rolled_back": allow_rolled_back, "overrun": overrun, "requested": waits}
                promotion = self._parts.promotion(package, name, **how)
                check_promotion(self._parts.acting_as(actor), promotion)
        return targets
