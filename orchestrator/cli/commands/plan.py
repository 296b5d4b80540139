"""`orchestrator plan`: what a promotion, or a rollback, would do, as a document with a digest."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import completing
from orchestrator.cli.output import json_option, named_options, note, out_folded, paint, print_json, to_option

if TYPE_CHECKING:
    from orchestrator.app.application import Application
    from orchestrator.domain.plan import Acknowledgements, Plan
    from orchestrator.domain.risk.assessment import Risk
    from orchestrator.domain.rollback_plan import RollbackForecast, RollbackPlan
    from orchestrator.domain.wave_plan import WavePlan


@click.command("plan")
@click.argument("release", required=False, shell_complete=completing.releases)
@to_option("The environment, or the list of waves.")
@click.option("--rollback", "rollback", metavar="ENV", help="Show the rollback of ENV instead of a promotion.")
@click.option(
    "-o",
    "--out",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the plan into this file as well.",
)
@click.option("--check/--no-check", default=True, show_default=True, help="Run Ansible's check mode for each step.")
@click.option("--redeploy", is_flag=True, help="With waves: plan also environments that already run the release.")
@named_options
@json_option
def command(
    release: str | None,
    environment: str | None,
    rollback: str | None,
    target: Path | None,
    check: bool,
    redeploy: bool,
    replace: tuple[str, ...],
    points_of_no_return: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what promoting RELEASE into an environment would do, without any change.

    The plan is one document. It contains Pulumi's planned changes, steps with their hosts and batches, the predictions
    of Ansible's check mode, the tests, the current releases of the hosts, and the rollback target.
    `promote --plan` executes exactly this plan.

    The first lines list stateful resources that would be replaced or deleted, and steps that cannot be undone. Such a
    plan is only executed if it was made with --replace and --point-of-no-return for each of them.

    With --to WAVES, shows the plan of each environment, wave by wave, in one document with one digest. Each wave is
    planned as if the release had been verified in the waves before. An environment that already runs the release has
    no plan, unless --redeploy is given.

    With --rollback ENV, shows the rollback instead. During a promotion this is the rollback of the steps that it has
    started so far, otherwise that of `orchestrator rollback ENV`. If the stack would be rolled back too, Pulumi
    previews the changes. A rollback that would lose a stateful resource leaves the stack as it is.
    """
    from orchestrator.app.opening import open_application
    from orchestrator.cli.report import UsageProblem
    from orchestrator.domain.plan import Acknowledgements

    if rollback is not None and (release is not None or environment is not None):
        raise UsageProblem("--rollback is about an environment and no release", "orchestrator plan --rollback ENV")
    if rollback is None and (release is None or environment is None):
        raise UsageProblem("a RELEASE and --to ENV are needed, or --rollback ENV", "orchestrator plan --help")
    app = open_application(Path.cwd())
    plan: Plan | RollbackPlan | WavePlan
    if rollback is not None:
        plan = _rollback(app, rollback)
    else:
        named = Acknowledgements(replace=replace, no_return=points_of_no_return)
        plan = _promotion(app, str(release), str(environment), named, check=check, redeploy=redeploy)
    _deliver(app, plan, target, as_json=as_json)


def _promotion(
    app: "Application", release: str, environment: str, named: "Acknowledgements", *, check: bool, redeploy: bool
) -> "Plan | WavePlan":
    """The plan of a promotion into one environment, or in waves. Nothing is published."""
    from orchestrator.cli.report import building, warn

    waves = app.plans.waves(app.actor, environment)
    if waves is None:
        app.require_environment(environment)
    package = app.releases.package(app.actor, release, warn, building, publish=False)
    note(f"planning {package.ref} → {environment} …")
    known = app.plans.agreement(app.actor, package, named.replace, named.no_return)
    if waves is not None:
        return app.plans.make_for_waves(app.actor, package, waves, check=check, named=known, redeploy=redeploy)
    return app.plans.make(app.actor, package, environment, check=check, named=known)


def _deliver(app: "Application", plan: "Plan | RollbackPlan | WavePlan", target: Path | None, *, as_json: bool) -> None:
    """Write the plan to the file *target*, if there is one, and print it with the calendar, which is not part of it."""
    import json

    from orchestrator.cli.situation import calendar_lines

    seen = _outlook(app, plan)
    document = (
        {**plan.document(), "outlook": seen and seen.to_json()}
        if plan.kind == "RollbackPlan"
        else app.plans.document(app.actor, plan)
    )
    if target is not None:
        target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")  # masked before its digest
    risk = _risk(app, plan)
    names = [item.environment for item in plan.planned] if plan.kind == "WavePlan" else [plan.environment]
    calendar = {name: state for name, state in app.calendar_states().items() if name in names}
    if as_json:
        plain = {key: value for key, value in document.items() if key not in {"apiVersion", "kind"}}
        states = {name: state.to_json() for name, state in calendar.items()}
        print_json(plan.kind, {**plain, "calendar": states, **_risk_data(risk)})
        return
    _print(plan, seen)
    for line in _risk_lines(risk):
        out_folded(f"Risk     {line}")
    for name, state in calendar.items():
        for line in calendar_lines(state):
            out_folded(f"{name}: {line}")


def _risk(app: "Application", plan: "Plan | RollbackPlan | WavePlan") -> "Risk | None":
    """The risk of the promotion into one environment; None for anything else."""
    return app.plans.risk(app.actor, plan) if plan.kind == "Plan" and plan.action == "promote" else None


def _risk_data(risk: "Risk | None") -> dict[str, Any]:
    return {"risk": risk.to_json(), "arithmetic": risk.arithmetic} if risk is not None else {}


def _risk_lines(risk: "Risk | None") -> list[str]:
    """The factors of the risk that have points, and their sum."""
    return [] if risk is None else [*(str(line) for line in risk.lines if line.points), risk.arithmetic]


def _rollback(app: "Application", environment: str) -> "Plan | RollbackPlan":
    found = app.plans.current_rollback(app.actor, environment)
    if found is not None:
        return found
    package = app.releases.rollback_package(app.actor, environment, None)
    note(f"planning the rollback of {environment} to {package.ref} …")
    return app.plans.make(app.actor, package, environment, action="rollback", check=False)


def _outlook(app: "Application", plan: "Plan | RollbackPlan | WavePlan") -> "RollbackForecast | None":
    """The effect of a rollback plan on the stack; None for other plans, and without a stack."""
    if plan.kind != "RollbackPlan" or plan.definition is None:
        return None
    note("previewing with Pulumi what would change in the infrastructure …")
    return app.plans.forecast(app.actor, plan)


def _print(plan: "Plan | RollbackPlan | WavePlan", seen: "RollbackForecast | None") -> None:
    from orchestrator.cli.planned import print_plan, print_waves
    from orchestrator.cli.words import listed_plays, outlook
    from orchestrator.domain.rollback_text import rollback_lines

    if plan.kind == "Plan":
        print_plan(plan)
        return
    if plan.kind == "WavePlan":
        print_waves(plan)
        return
    out_folded(paint(f"If {plan.run} fails now: roll {plan.environment} back to {plan.release}", bold=True))
    for line in rollback_lines(plan.document(), listed_plays):
        out_folded(f"  {line}")
    for line in outlook(seen):
        out_folded(f"  {line}")
