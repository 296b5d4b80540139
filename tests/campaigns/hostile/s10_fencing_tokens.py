"""S10: hosts that report fencing tokens which would use ours up, or switch them off on all other hosts."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from orchestrator.domain import host_answer
from orchestrator.domain.context import Context
from orchestrator.domain.fencing import HIGHEST, LARGEST, STEP
from orchestrator.domain.host_answer import read_answer
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlaySpec
from orchestrator.inspect import tokens
from tests.adapters.ansible.test_remote import Host
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.flow.test_observe import PLACE, do
from tests.flow.test_promotion import Stage

LINE, ABOUT = "S10", "fencing tokens that hosts report"
NUMBER = re.compile(r"[0-9]{1,15}")  # a token, in the one width that it has everywhere
RUNS = 20  # tokens that the runs of an attempt use themselves
TOKENS = {
    "15 nines": "9" * 15,
    "16 nines": "9" * 16,
    "26 digits": "9" * 26,
    "5000 digits": "9" * 5000,
    "2^31": str(2**31),
    "2^63": str(2**63),
    "2^64": str(2**64),
    "the highest and one more": str(HIGHEST + 1),
    "zeros before it": "0" * 6 + "987654321",
    "a superscript": "9²",
    "other digits": "١٢٣٤٥٦٧٨٩",
    "an exponent": "9e14",
}


def cases(seed: int) -> Iterator[Case]:
    """Each form of a token in each operation, and in each file of a host's ledger."""
    for name, token in TOKENS.items():
        for operation, use in OPERATIONS.items():
            yield Case(f"{name}, in {operation}", partial(_reported, token, use))
    own = str(Random(seed).randrange(10**9, 10**14))
    for place in PLACES:
        for name, token in {**TOKENS, "a number": own}.items():
            yield Case(f"{name}, in {place}", partial(_kept, token, place))


# -- what a host reports -----------------------------------------------------------------------------------------------


def _observe(stage: Stage) -> None:
    do(stage, "observe")


def _confirmed(stage: Stage) -> None:
    do(stage, "observe", {"token": stage.store.newest_fence(PLACE) + STEP})


def _promote(stage: Stage) -> None:
    stage.walk("1.1.0")


def _roll_back(stage: Stage) -> None:
    stage.world.faults.add(("verify", "p3", "1.1.0"))
    stage.walk("1.1.0")


OPERATIONS: dict[str, Callable[[Stage], None]] = {
    "an observation": _observe,
    "an observation with a lower confirmation": _confirmed,
    "a promotion": _promote,
    "a promotion that fails": _roll_back,
}


def _reported(token: str, operation: Callable[[Stage], None], yard: Yard) -> Outcome:
    """One host of three reports *token*: ours rises no further than allowed, and the others refuse older ones."""
    stage = Stage(yard.inside)
    stage.walk("1.0.0")
    stage.walk("1.0.1")
    ours = stage.store.newest_fence(PLACE)
    reported = f"@linked {json.dumps({'digest': stage.world.running[PLACE, 'p2']})}\n@fence {token}"
    if read_answer(reported).fence is not None and not NUMBER.fullmatch(token):
        return Outcome(accepted=f"it is read as {read_answer(reported).fence}")
    stage.world.answers["p2"] = reported
    operation(stage)
    newest = stage.store.newest_fence(PLACE)
    if newest > ours + STEP + RUNS:
        return Outcome(accepted=f"the token rose from {ours} to {newest}")
    return _refuse_older(stage)


def _refuse_older(stage: Stage) -> Outcome:
    """HELD if a host that is not hostile still refuses a process with an older token."""
    package, seen = stage.packages.fetch(stage.packages.refs()[0].digest), stage.world.fences[PLACE, "p1"]
    late = Context(run="late", environment=PLACE, project="demo", fence=seen - 1)
    play = PlaySpec(step="deploy", playbook="deploy.yml", hosts="web", limit=("p1",), timeout=60.0)
    deployer, inventory = stage.services().deployer, Inventory(hosts={"p1": {}})
    result = deployer.deploy(play, package, inventory, late, "late.deploy.1", lambda _entry: None)
    return HELD if result.data.get("code") == "D140" else Outcome(accepted=f"fence {seen - 1} after {seen}")


# -- what stands in the ledger of a host -------------------------------------------------------------------------------

PLACES = {
    "the file of the fence": ("fence", "{token}\n"),
    "the ledger": ("ledger.jsonl", '{{"run": "r9", "fence": {token}, "outcome": "done"}}\n'),
    "an old state": ("state.json", '{{"fence": {token}}}'),
}


def _kept(token: str, place: str, yard: Yard) -> Outcome:
    """*token* stands in a file of the host: what it reports is a token or none, and it still refuses older ones."""
    host = Host(yard.inside / "host")
    name, form = PLACES[place]
    host.file("").mkdir()
    host.file(name).write_text(form.format(token=token))
    answer = read_answer(host.shell("look", 0)[1])
    if answer.faults or (answer.fence is not None and answer.fence >= 10**15):
        return Outcome(accepted=f"it reports {answer.fence}: {answer.invalid}")
    newest = answer.fence or 0
    for verb in (_claims, _deploys):
        if newest > 1 and verb(host, newest - 1):
            return Outcome(accepted=f"fence {newest - 1} after {newest}")
        if newest < LARGEST and not verb(host, newest + 1):
            return Outcome(accepted=f"fence {newest + 1} is refused after {newest}")
        newest = min(newest + 1, LARGEST)
    return HELD


def _claims(host: Host, fence: int) -> bool:
    return host.shell("claim", fence)[0] == 0


def _deploys(host: Host, fence: int) -> bool:
    return not host.ask(host.request(fence=fence)).get("failed")


DEFENCES: dict[str, Defence] = {
    "bound": lambda: replaced(tokens, "is_ahead", lambda *_: False),
    "width": lambda: replaced(host_answer, "read_token", int),
}
