"""Whether an approved plan still holds, and in which parts two plans differ."""

from orchestrator.domain.configuration import decides_nothing
from orchestrator.domain.plan.document import Plan
from orchestrator.domain.stored_words import notes_as_made

PARTS = {
    "apiVersion": "the version of plans",
    "kind": "the version of plans",
    "action": "the action",
    "at": "the time that is restored",
    "project": "the project",
    "environment": "the environment",
    "release": "the release package",
    "losses": "which stateful resources are lost",
    "points_of_no_return": "the points of no return",
    "acknowledgements": "what was agreed to by name",
    "definition": "the environment's definition",
    "project_definition": "the project definition",
    "after": "the environment before it",
    "stack": "the stack's state",
    "inventory": "the hosts",
    "inventory_digest": "the hosts",
    "requirements": "the requirements of hosts",
    "undo": "what is undone",
    "reversals": "which implementation plans undo steps",
    "steps": "the steps",
    "implementations": "the implementation plans of steps",
    "blue_green": "which side is live",
    "verify": "the tests",
    "rehearse": "whether it is rehearsed",
    "watch": "the watch",
    "probe": "the probe",
    "current_hosts": "what runs on the hosts",
    "unmet": "the unmet requirements of hosts",
    "unreachable": "which hosts can be reached",
    "uninspected": "why the hosts are unknown",
    "rollback_target": "the rollback target",
    "automatic_rollback": "whether a failure is rolled back automatically",
    "ephemeral": "whether it is made for this promotion only",
    "skip_irreversible": "the agreement to skip irreversible steps",
    "crossed": "the steps of newer releases that cannot be undone",
    "all_at_once": "whether all hosts are restored at the same time",
    "second_pass": "the steps after the restored infrastructure",
    "skipped": "the steps that are left out",
    "conditions": "what the environment requires",
    "configuration": "the configuration",
    "artifacts": "what hosts unpack",
    "notes": "the notes",
}
"""What the digest of a plan covers, by the name that is shown to users; two plans differ in these."""


def held(approved: Plan, now: Plan) -> Plan:
    """*now*, with the results of check mode from *approved*, because it is not run again.

    What Pulumi would do is not taken from it: *now* has that from Pulumi's own saved update plan. What is set on a
    controller and not passed on decides nothing, and neither does what is masked: notes about it may differ.
    The form of the plan is that of *approved*, also of paths: earlier versions wrote absolute ones.
    """
    previews = [step.preview for step in approved.steps]
    previews += [None] * (len(now.steps) - len(previews))
    steps = tuple(
        step.model_copy(update={"preview": preview}) for step, preview in zip(now.steps, previews, strict=False)
    )
    form = approved.apiVersion
    notes = notes_as_made(form, _deciding(now.notes))
    if notes == _deciding(approved.notes):
        notes = approved.notes  # the others are between them
    paths = {
        "inventory": now.inventory and now.inventory.in_form_of(approved.inventory),
        "stack": now.stack.in_form_of(approved.stack) if now.stack and approved.stack else now.stack,
        "configuration": now.configuration and now.configuration.in_form_of(approved.configuration),
    }
    return now.model_copy(update={"apiVersion": form, "steps": steps, "notes": notes, **paths})


def _deciding(notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(note for note in notes if not decides_nothing(note))


def differences(approved: Plan, now: Plan) -> list[str]:
    """The names of the parts in which *now* is no longer what was *approved*. Empty when the plan still holds."""
    before, after = approved.to_json(), now.to_json()
    found = dict.fromkeys(name for field, name in PARTS.items() if before.get(field) != after.get(field))
    for part, what in (("versions", VERSIONS), ("settings", SETTINGS)):
        if STACK in found and _stack_without(approved, part) == _stack_without(now, part):
            return [what if name == STACK else name for name in found]
    return list(found)


STACK = "the stack's state"
VERSIONS = "the versions of Pulumi and its providers"
SETTINGS = "the settings of Pulumi"


def _stack_without(plan: Plan, part: str) -> object:
    return plan.stack and plan.stack.model_copy(update={part: {}}).to_json()
