"""The plan of a rollback in words, for the command line and for the page of its run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from orchestrator.domain.plan import PlannedReversal, SecondPass, SkippedStep, at_positions
from orchestrator.domain.release import PackageRef
from orchestrator.domain.text import clean_text, list_names, short

Listing = Callable[[Iterable[Mapping[str, Any]]], list[str]]
"""The lines about plays, in their JSON form."""


def again_lines(planned: SecondPass | None) -> Iterator[str]:
    """What a rollback runs on hosts after the infrastructure was restored, and when."""
    if planned is None:
        return
    yield "after the infrastructure, on hosts that it replaces or restores; on these, if plays get other variables:"
    for play in planned.restore:
        on = list_names(play.limit) or f"hosts that are known then ({play.hosts})"
        yield f"  restore again by {play.step}: {play.playbook} on {on}"


def skipped_lines(skipped: Iterable[SkippedStep], restored: PackageRef) -> Iterator[str]:
    """The steps that a rollback to *restored* leaves out, each with the declaration that is the reason."""
    for item in skipped:
        what = "not run again" if item.release == restored else "not undone"
        yield clean_text(f"{item.step} of {item.release}: {what} (undo: {item.undo})")


def rollback_lines(plan: Mapping[str, Any], listing: Listing = lambda _plays: []) -> list[str]:
    """The plan of a rollback (its JSON form) in a few lines; none if it is empty. *listing* gives those about plays."""
    if not plan:
        return []
    lines = []
    if plan.get("switch"):
        lines += [f"switch back to {plan['live']}: {plan['switch']['playbook']}"]
        lines += listing(plan.get("switch_plays", ()))
    reversals = [PlannedReversal.from_json(item) for item in plan.get("reversals", ())]
    for item in at_positions(plan["undo"], reversals):
        if isinstance(item, PlannedReversal):
            lines += [f"undo {item.step}: implementation plan {item.template}"]
            continue
        play = item["play"]
        lines += [f"undo {play['step']}: {play['playbook']} on {list_names(play['limit'])}"]
        lines += listing(item.get("plays", ()))
    for play in plan["restore"]:
        lines += [f"restore by {play['step']}: {play['playbook']} on {list_names(play['limit'])}"]
        lines += listing(plan.get("restore_plays", {}).get(play["step"], ()))
    if plan["definition"]:
        lines.append(f"the infrastructure as it was then ({short(plan['definition'])}), after the hosts")
        lines += again_lines(SecondPass.from_json(plan["second_pass"]) if plan.get("second_pass") else None)
    skipped = map(SkippedStep.from_json, plan.get("skipped", ()))
    lines += skipped_lines(skipped, PackageRef.from_json(plan["release"]))
    lines.append(f"verified by {', '.join(suite['name'] for suite in plan['verify'])}")
    if plan["untouched"]:
        lines.append(f"not changed: {list_names(plan['untouched'])}")
    return [*lines, f"plan {short(plan['digest'])}"]
