"""Which commands show and add the objects of a kind: hints of errors about an object that does not exist."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.text import nearest


@dataclass(frozen=True)
class Lookup:
    """The command that *shows* the objects of a kind, and the one that *adds* one; empty: only the system does."""

    shows: str
    adds: str = ""


LOOKUPS: dict[str, Lookup] = {
    "absence": Lookup("orchestrator away", "orchestrator away --until TIME --deputy USER"),
    "absence of": Lookup("orchestrator away", "orchestrator away --until TIME --deputy USER"),
    "account": Lookup("orchestrator people accounts USER"),
    "account of": Lookup("orchestrator people accounts USER"),
    "audit entry": Lookup("orchestrator audit list"),
    "binding": Lookup("orchestrator access show", "orchestrator access grant ROLE user:NAME"),
    "booking": Lookup("orchestrator bookings", "orchestrator book ENV --from TIME --for 4h --purpose TEXT"),
    "calendar": Lookup("orchestrator calendar list", "orchestrator calendar add"),
    "calendar-address": Lookup("orchestrator people show USER", "orchestrator calendar subscribe"),
    "change-request": Lookup("orchestrator request list", "orchestrator request add TITLE"),
    "drift": Lookup("orchestrator environment show ENV", "orchestrator drift ENV"),
    "environment": Lookup("orchestrator environment list", "orchestrator init"),
    "evidence-file": Lookup("orchestrator implementation show PLAN TASK"),
    "file": Lookup("orchestrator implementation show PLAN TASK"),
    "group": Lookup("orchestrator group list", "orchestrator group add NAME"),
    "hook": Lookup("orchestrator hook list", "orchestrator hook add NAME"),
    "hook-delivery": Lookup("orchestrator hook deliveries NAME"),
    "implementation file": Lookup("orchestrator implementation start", "orchestrator init"),
    "implementation-plan": Lookup("orchestrator implementation list", "orchestrator implementation start TEMPLATE"),
    "line-stop": Lookup("orchestrator line status", "orchestrator line stop ENV"),
    "member": Lookup("orchestrator group list", "orchestrator group members GROUP --add USER"),
    "message": Lookup("orchestrator notifications list"),
    "notification": Lookup("orchestrator notifications list"),
    "notification-rule": Lookup("orchestrator notifications rule list", "orchestrator notifications rule add NAME"),
    "override": Lookup("orchestrator audit list", "orchestrator calendar override RELEASE --to ENV -m WHY"),
    "package": Lookup("orchestrator package list", "orchestrator build RELEASE"),
    "parity": Lookup("orchestrator environment show ENV", "orchestrator parity ENV OTHER"),
    "password": Lookup("orchestrator people list", "orchestrator people reset-password NAME"),
    "plan": Lookup("orchestrator approvals", "orchestrator plan RELEASE --to ENV"),
    "planned-release": Lookup("orchestrator release list", "orchestrator release plan TITLE --to ENV"),
    "project-definition": Lookup("orchestrator project definitions", "orchestrator project push"),
    "quota": Lookup("orchestrator environment quota", "orchestrator environment quota TEAM ENV --hours N"),
    "release": Lookup("orchestrator validate", "orchestrator init"),
    "release-review": Lookup("orchestrator review list", "orchestrator review open RUN"),
    "requirements": Lookup("orchestrator requirements RELEASE --in ENV", "orchestrator requirements RELEASE --in ENV"),
    "review": Lookup("orchestrator approvals"),
    "review-action": Lookup("orchestrator action list", "orchestrator action add REVIEW TITLE"),
    "role": Lookup("orchestrator access show", "orchestrator access apply FILE"),
    "run": Lookup("orchestrator approvals --all", "orchestrator promote RELEASE --to ENV"),
    "run request": Lookup("orchestrator approvals --all", "orchestrator promote RELEASE --to ENV"),
    "service-account": Lookup("orchestrator service-account list", "orchestrator service-account add NAME"),
    "sign-in-link": Lookup("orchestrator people list", "orchestrator people reset-password NAME"),
    "stop of": Lookup("orchestrator line status", "orchestrator line stop ENV"),
    "task": Lookup("orchestrator implementation status PLAN", "orchestrator implementation add PLAN TASK"),
    "task under": Lookup("orchestrator implementation list"),
    "team": Lookup("orchestrator people list", "orchestrator people edit NAME --team TEAM"),
    "token": Lookup("orchestrator token list", "orchestrator token create"),
    "train": Lookup("orchestrator train list", "orchestrator train create LINE"),
    "train-line": Lookup("orchestrator train line list", "orchestrator train line add NAME"),
    "trusted issuer": Lookup("orchestrator service-account list", "orchestrator service-account trust NAME"),
    "user": Lookup("orchestrator people list", "orchestrator people add NAME"),
    "vote": Lookup("orchestrator approvals", "orchestrator approve REQUEST"),
}
"""The commands about the objects of each kind, as errors name the kind."""


def object_hint(what: str, name: str, known: Sequence[str]) -> str:
    """What to do about an object *what* called *name* that does not exist: the nearest of those *known*, and a command.

    Empty for what no command is about.
    """
    lookup = LOOKUPS.get(what)
    if lookup is None:
        return nearest(name, known) if known else ""
    if not known and lookup.adds:
        return f"{lookup.adds} adds one"
    near = nearest(name, known) if known else ""
    between = "" if not near else " " if near.endswith("?") else "; "
    return f"{near}{between}{lookup.shows} shows what exists"
