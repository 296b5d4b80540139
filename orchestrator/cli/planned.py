"""A plan as text."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import click

from orchestrator.app.refusal import plan_refusal
from orchestrator.cli import output
from orchestrator.cli.configuration import configuration_lines
from orchestrator.cli.words import duration_text, play_lines, release_of, when
from orchestrator.domain.gate import Flaky
from orchestrator.domain.plan import (
    ObservationWindow,
    Plan,
    PlannedGate,
    PlannedImplementation,
    PlannedReversal,
    PlannedStep,
    ResourceChange,
    StepPreview,
    at_positions,
    change_tree,
)
from orchestrator.domain.plays import PlannedPlay
from orchestrator.domain.quantities import seconds as seconds_of
from orchestrator.domain.rollback_text import again_lines, skipped_lines
from orchestrator.domain.sides import SIDES
from orchestrator.domain.text import LISTED, clean_text, counted, few, list_names, short
from orchestrator.domain.wave_plan import WavePlan

SIGNS = {
    "create": ("+", "green"),
    "delete": ("-", "red"),
    "update": ("~", "yellow"),
    "replace": ("+-", "magenta"),
    "refresh": ("~", "cyan"),
    "import": ("+", "cyan"),
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Printer:
    """The outputs of a plan: folded lines go to *say*, lines that are never cut to *raw*."""

    say: Say
    raw: Say

    def __call__(self, text: str) -> None:
        """Write a folded line."""
        self.say(text)


def plan_text(plan: Plan | WavePlan) -> str:
    """*plan* as it is shown to approvers: plain text, the same on every terminal.

    Votes are for this text. So it does not have which credentials a machine lacks: that changes without the plan.
    """
    lines: list[str] = []
    say = Printer(lines.append, lines.append)
    if isinstance(plan, WavePlan):
        _write_waves(plan, say, credentials=False)
    else:
        _write_plan(plan, say, credentials=False)
    return click.unstyle("\n".join(lines)) + "\n"


def print_waves(plan: WavePlan, *, err: bool = False) -> None:
    """Write the plan of each environment, wave by wave, what holds them together, and how to execute it."""
    say = Printer(output.note_folded, output.note) if err else Printer(output.out_folded, output.out)
    _write_waves(plan, say)
    blocked = [item.environment for item in plan.planned if item.plan and plan_refusal(item.plan)]
    if blocked:
        say(f"Blocked  {', '.join(blocked)}, for the reasons above")
    elif not err:
        say(f"Execute  orchestrator promote --plan {short(plan.digest)}")


def _write_waves(plan: WavePlan, say: Printer, *, credentials: bool = True) -> None:
    """Write all of *plan*: its environments, wave by wave."""
    rollout = plan.rollout
    title = f"Plan: promote {plan.release} → {rollout.name}, in {counted(len(plan.waves), 'wave')}: {rollout}"
    say(output.paint(title, bold=True))
    for number, wave in enumerate(plan.waves, start=1):
        say(output.paint(f"\nWave {number} of {len(plan.waves)}", bold=True))
        for item in wave:
            if item.plan is None:
                say(f"{item.environment}: {plan.release} is deployed already; nothing is done without --redeploy")
                continue
            _write_plan(item.plan, say, credentials=credentials)
            _write_blocked(item.plan, say)
    soak = f"{rollout.soak} between one wave and the next" if seconds_of(rollout.soak) else "none"
    stays = "stays" if rollout.on_failure == "stop" else "is rolled back, newest wave first"
    say(f"\nSoak     {soak}")
    say(f"Failures {rollout.max_failures} may fail; with more, later waves are not started, what was promoted {stays}")
    say(f"Digest   {plan.digest}")


def _write_blocked(plan: Plan, say: Printer) -> None:
    why = plan_refusal(plan)
    if why is not None:
        say(f"Blocked  {clean_text(why.message)}: orchestrator explain {why.code}")


def print_plan(plan: Plan, *, err: bool = False, alone: bool = True) -> None:
    """Write *plan* to standard output, or to standard error; with the command to execute it only if *alone*."""
    say = Printer(output.note_folded, output.note) if err else Printer(output.out_folded, output.out)
    _write_plan(plan, say, err=err)
    if not err:
        _write_blocked(plan, say)
    if not err and alone and plan_refusal(plan) is None:
        command = f"promote --plan {short(plan.digest)}" if plan.action == "promote" else f"rollback {plan.environment}"
        say(f"Execute  orchestrator {command}")


def _write_plan(plan: Plan, say: Printer, *, err: bool = False, credentials: bool = True) -> None:
    """Write all of *plan*, with the *credentials* that were missing when it was made."""
    verb = "roll back to" if plan.action == "rollback" else "promote"
    say(output.paint(f"Plan: {verb} {plan.release} → {plan.environment}", bold=True, err=err))
    for text in _first(plan):
        say(f"  {output.paint('!', fg='red', bold=True, err=err)} {text}")
    for text in plan.notes:
        say(f"  {output.paint('!', fg='yellow', err=err)} {text}")
    if credentials:
        _missing(plan, say)
    if plan.at is not None:
        say(f"As of    {when(plan.at)}: {plan.release}, the infrastructure as defined by {short(plan.definition)}")
    _infrastructure(plan, say, err=err)
    _hosts(plan, say)
    for number, line in enumerate(requirement_lines(plan)):
        say(f"{'' if number else 'Require':<9}{line}")
    _work(plan, say, err=err)
    if plan.configuration is not None:
        for number, line in enumerate(configuration_lines(plan.configuration)):
            say(f"{'' if number else 'Ansible':<9}{line}")
    _end(plan, say)


def _missing(plan: Plan, say: Say) -> None:
    """Write which credentials are not on the machine that made the plan: what, where, why, and what to do."""
    for each in plan.missing_credentials:
        _titled("Missing", (f"{each.what} on {each.machine}: {each.place}", each.why, each.remedy), say)


def _end(plan: Plan, say: Say) -> None:
    """Write the rollback target of the plan, and the digests."""
    if plan.action == "promote":
        say(f"Rollback {_rollback_text(plan)}")
        for line in _left_by_rollback(plan):
            say(f"         {line}")
    if plan.project_definition is not None:
        say(f"Project  definition {plan.project_definition}")
    say(f"Digest   {plan.digest}")


def _work(plan: Plan, say: Printer, *, err: bool) -> None:
    """Write the undos and steps of the plan, in their order."""
    for undo in at_positions(plan.undo, plan.reversals):
        if isinstance(undo, PlannedReversal):
            say(f"Undo     {undo.step} of {undo.release}: implementation plan {undo.template}")
            continue
        say(f"Undo     {undo.play.step} of {undo.release}: {undo.play.playbook} on {list_names(undo.play.limit)}")
        _plays(undo.plays, say, err=err)
    for number, step in enumerate(at_positions(plan.steps, plan.implementations), start=1):
        if isinstance(step, PlannedImplementation):
            _implementation(number, step, say)
        else:
            _executed(plan, number, step, say, err=err)
    _sides(plan, say, err=err)
    _titled("Again", again_lines(plan.second_pass), say)
    _titled("Skipped", skipped_lines(plan.skipped, plan.release), say)
    for artifact in plan.artifacts:
        say(f"Artifact {artifact.name}: {'unpacked on hosts' if artifact.unpack else 'one file on hosts'}")
    for suite in plan.verify:
        say(f"Verify   {suite.name}: {suite.tests} (at most {duration_text(suite.timeout)}){_repeated(suite.flaky)}")
    _titled("Rehearse", _rehearsal(plan), say)
    if plan.watch is not None:
        say(f"Watch    {_window(plan.watch.observation)}")
        if plan.watch.suite is not None:
            say(f"         {plan.watch.suite.tests}")
        _gates(plan.watch.gates, say)
    if plan.probe is not None:
        urls = [url for url in (plan.probe.url, plan.probe.service) if url is not None]
        say(f"Probe    every {plan.probe.every}: {', '.join(urls)}")


def _executed(plan: Plan, number: int, step: PlannedStep, say: Printer, *, err: bool) -> None:
    """Write a step with the batches that *plan* executes."""
    batches = plan.executed(step.batches) if step.batches is not None else None
    if batches == () and step.batches:
        say(f"Step {number:<3} {step.play.step}: not run, its hosts have {plan.release}")
    else:
        _step(number, step.model_copy(update={"batches": batches}), say, err=err)


def _implementation(number: int, planned: PlannedImplementation, say: Say) -> None:
    """Write a step that starts an implementation plan."""
    given = ", ".join(f"{name}={value}" for name, value in planned.parameters.items())
    say(f"Step {number:<3} {planned.step}: implementation plan {planned.template}{f' with {given}' if given else ''}")
    say(f"         undo: {planned.undo}")


def _rehearsal(plan: Plan) -> Iterator[str]:
    """What a rehearsal runs beside the steps: the rollback, and the restored release on standby hosts."""
    back = plan.rollback_target.release
    if not plan.rehearse or back is None:
        return
    yield f"rolled back to {back} and promoted again; the rollback is the one below"
    other_standbys = [state.host for state in plan.current_hosts if state.is_other_standby(back.digest)]
    if other_standbys:
        yield f"first {back} on {list_names(other_standbys)}, which are on standby with another release"


def _titled(title: str, lines: Iterable[str], say: Say) -> None:
    for number, line in enumerate(lines):
        say(f"{'' if number else title:<9}{line}")


def _first(plan: Plan) -> Iterator[str]:
    """What a promotion would do that cannot be made good again, and whether it was agreed to by name."""
    if plan.action != "promote":
        return
    unnamed = {loss.urn for loss in plan.unnamed_losses}
    for loss in plan.losses:
        agreement = f"not agreed to: --replace {loss.name}" if loss.urn in unnamed else "agreed to by name"
        yield clean_text(f"would {loss}; {agreement}")
    for step in plan.points_of_no_return:
        named = step in plan.acknowledgements.no_return
        agreement = "agreed to by name" if named else f"not agreed to: --point-of-no-return {step}"
        yield f"{step} cannot be undone; {agreement}"
    if plan.stack is not None and plan.stack.refused:
        yield clean_text(plan.stack.refused)


def _infrastructure(plan: Plan, say: Say, *, err: bool) -> None:
    stacked = plan.blue_green is not None and plan.blue_green.stacked
    if plan.stack is None and plan.is_incomplete:
        say("Stack    not inspected: credentials are missing")
        return
    if plan.stack is None:
        say(f"Stack    {'both stay as they are' if stacked else 'none: this environment has no Pulumi program'}")
        return
    if stacked and plan.blue_green is not None:
        say(f"Stack    that of the {plan.blue_green.to} side; the other one stays as it is")
    counts = {op: count for op, count in sorted(plan.stack.counts.items()) if count}
    say(f"Stack    {', '.join(f'{count} {op}' for op, count in counts.items()) or 'no resources'}")
    for name, value in plan.stack.settings.items():
        say(clean_text(f"         with {name}={value}"))
    for line in tree(plan.stack.changes, err=err):
        say(f"         {line}")


def tree(changes: tuple[ResourceChange, ...], *, err: bool = False) -> list[str]:
    """Pulumi's changes as a tree; resources that stay as they are are left out."""
    lines = []
    for level, change in change_tree(changes):
        sign, colour = SIGNS.get(change.op, ("*", "cyan"))
        properties = f"  [{', '.join(change.properties)}]" if change.properties else ""
        text = f"{change.type} {change.name}{properties}"
        lines.append(f"{'  ' * level}{output.paint(sign, fg=colour, err=err)} {clean_text(text)}")
    return lines


def _hosts(plan: Plan, say: Say) -> None:
    if not plan.current_hosts and plan.is_incomplete:
        say("Hosts    not inspected: credentials are missing")
        return
    if not plan.current_hosts:
        say("Hosts    known after provisioning" if plan.inventory is None else "Hosts    none")
        return
    groups: dict[str, list[str]] = {}
    for state in plan.current_hosts:
        text = release_of(state) if state.truth == "empty" else f"{release_of(state)} ({state.truth})"
        groups.setdefault(text, []).append(state.host)
    for number, (what, names) in enumerate(groups.items()):
        say(f"{'Hosts   ' if not number else '        '} {what} on {list_names(names)}")


def requirement_lines(plan: Plan) -> Iterator[str]:
    """A line for each requirement, with what was measured on which hosts."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for host in plan.checked:
        for check in host.checks:
            text = check.measured if check.state == "met" else f"{check.measured or check.reason} ({check.state})"
            found.setdefault((check.what, check.required), {}).setdefault(text, []).append(host.host)
    for (what, required), measured in found.items():
        yield f"{what} {required}: {'; '.join(f'{text} on {list_names(names)}' for text, names in measured.items())}"


def _step(number: int, step: PlannedStep, say: Printer, *, err: bool) -> None:
    batches = step.batches
    how = batches_of(batches) if batches is not None else step.play.hosts
    say(f"Step {number:<3} {step.play.step}: {step.play.playbook} on {how}")
    _plays(step.plays, say, err=err)
    if step.order != "inventory":
        say(f"         order: {step.order}" + (f", by {step.seed}" if step.seed else ""))
    if step.canary is not None:
        say(f"         canary: {_canary_hosts(step)} first, then their observation {_window(step.canary.observation)}")
        _gates(step.canary.observation.gates, say)
    if step.undo:
        say(f"         undo: {step.undo}")
        _plays(step.undo_plays, say, err=err)
    if step.preview is not None:
        _preview(step.preview, say, err=err)


def _plays(plays: Iterable[PlannedPlay], say: Say, *, err: bool) -> None:
    for line in play_lines(plays, err=err):
        say(f"         {line}")


def batches_of(batches: tuple[tuple[str, ...], ...]) -> str:
    """Batches of hosts in order; of many hosts, how many each batch has."""
    if sum(map(len, batches)) <= LISTED:
        return " then ".join(f"[{', '.join(batch)}]" for batch in batches)
    sizes = [counted(len(batch), "host") for batch in batches]
    if len(sizes) > 4:
        sizes = [*sizes[:2], f"{len(sizes) - 3} more batches", sizes[-1]]
    first = few(batches[0], 3)
    return f"{counted(sum(map(len, batches)), 'host')}: {', then '.join(sizes)}; first {first}"


def _sides(plan: Plan, say: Say, *, err: bool) -> None:
    """From which side to which one it is switched, and what becomes of the other."""
    planned = plan.blue_green
    if planned is None:
        return
    about = {side: f" ({', '.join(planned.hosts.of(side))})" if planned.hosts else "" for side in SIDES}
    live = f"{planned.live}{about[planned.live]} is live" if planned.live else "no side is live yet"
    if planned.to is None:
        say(f"Switch   none: {live}")
        return
    where = f" on {planned.router}" if planned.router else ""
    say(f"Switch   to {planned.to}{about[planned.to]} by {planned.switch.playbook}{where}; {live}")
    _plays(planned.switch_plays, say, err=err)
    if planned.observation is not None:
        say(f"         before it, an observation of {planned.to} {_window(planned.observation)}")
        _gates(planned.observation.gates, say)
    if planned.retire is not None:
        say(f"         at the end, {planned.retire.playbook} on the standby side")
        _plays(planned.retire_plays, say, err=err)


def _canary_hosts(step: PlannedStep) -> str:
    """The hosts that go first, by name where they are known."""
    if step.batches:
        return ", ".join(step.batches[0])
    wanted = step.canary.hosts if step.canary is not None else 1
    return counted(wanted, "host") if isinstance(wanted, int) else wanted


def _window(window: ObservationWindow) -> str:
    return f"every {duration_text(window.every)} for {duration_text(window.seconds)}{_repeated(window.flaky)}"


def _repeated(rule: Flaky | None) -> str:
    return f"; what fails is repeated {counted(rule.retries, 'time')} within {rule.within}" if rule else ""


def _gates(gates: tuple[PlannedGate, ...], say: Say) -> None:
    for gate in gates:
        whose = " of the environment" if gate.own else ""
        where = f" on {gate.gate.hosts}" if gate.gate.hosts != "all" else ""
        say(f"         gate {gate.gate.name}{whose}: {clean_text(gate.gate.about)}{where}")


def _preview(preview: StepPreview, say: Printer, *, err: bool) -> None:
    for host in preview.hosts:
        if host.changes:
            say(f"         {host.host}: {counted(host.changes, 'task')} would change: {', '.join(host.tasks)}")
    if preview.opaque:
        say(f"         not predicted by check mode: {', '.join(preview.opaque)}")
    if preview.failed:
        say(f"         cannot pass in check mode: {', '.join(preview.failed)}")
    for text in preview.unseen:
        say(f"         check mode could not inspect: {clean_text(text)}")
    for line in preview.diff.splitlines():
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        say.raw(output.paint(f"           {line}", fg=colour, err=err))


def _left_by_rollback(plan: Plan) -> Iterator[str]:
    yield from again_lines(plan.rollback_target.second_pass)
    if plan.rollback_target.release is not None:
        yield from skipped_lines(plan.rollback_target.skipped, plan.rollback_target.release)


def _rollback_text(plan: Plan) -> str:
    back = plan.rollback_target
    if back.release is None or not back.available:
        return f"none: {back.reason}"
    gone = f"; cannot be undone: {', '.join(back.impossible)}" if back.impossible else ""
    how = "automatic" if plan.automatic_rollback else "on request"
    return f"{back.release} ({short(back.release.digest)}), whose package is here, {how}{gone}"
