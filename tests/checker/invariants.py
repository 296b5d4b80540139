"""What must hold after every run, whatever happened: judged from outside, from plain data, with none of our code.

I1 every host runs exactly one approved release whose digest is the one recorded, or is recorded as unknown
I2 no effect twice, by the hosts' own ledgers: run, step, fence
I3 what is told of a host was observed there
I4 an intent is recorded before its effect
I5 once a run has ended, nothing of it is left: no lease, no place in a queue, no process, no lock, no temporary file
I6 a run ends, or waits for something that it names
I7 no more hosts at once are out than the rollout allows
I8 a router leads to the side that is told to be live, and nothing is put on that side before it is switched away from
I9 a host is recorded as changing before a step touches it, and once the run has ended it is not changing any more
I10 once a run has ended well, each host has what the infrastructure that there is gives it
I11 once a run has been rolled back, or has changed nothing, each host has the files that it had
I12 a run that has changed nothing has no effect while its environment is closed, and one that has is not held
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ENDINGS = {"succeeded", "failed", "rolled back", "needs intervention"}


@dataclass(frozen=True)
class Done:
    """One effect by a host's ledger: *run* and *step* did it with *fence*; *complete* says that it came to its end."""

    host: str
    run: str
    step: str
    fence: int
    complete: bool = True


@dataclass(frozen=True)
class Told:
    """What the journal says of a host; *is_standby*: it is on the side that is not live, of which nobody is *switch_uncertain*."""

    truth: str
    digest: str | None
    is_standby: bool = False
    switch_uncertain: bool = False


@dataclass
class Seen:
    """Everything that was found when it was over.

    *running* is what really runs on each host, *told* what the journal says of it. *approved* are the digests that
    may run there. *ledgers* are the effects in the order in which each host had them. *order* is one list of what was
    written and done, as far as it could be seen: `("journal", run, kind, step, outcome)` and
    `("effect", run, step, host)`. *before* is what ran on each host when the run began.
    *batches* are, for each step of a rollout, the hosts of its batches in order. *ended* maps runs to how they ended.
    *given* is what each host has of the variables of the infrastructure, *gives* those of the infrastructure as it is.
    *documents* are what each document says of hosts: they say the same, and what is true. *claimed* are the host, run and
    step of each line of the hosts' ledgers, where they are known; *had* and *has* the files of each host before and now.
    *routed* are the hosts that each router leads to, where there are sides; *live* those of the side that was live when
    the run began.
    """

    running: Mapping[str, str | None]
    told: Mapping[str, Told]
    approved: set[str]
    ended: Mapping[str, str]
    ledgers: Iterable[Done] = ()
    order: Iterable[tuple[str, ...]] = ()
    verified: str | None = None
    before: Mapping[str, str | None] = field(default_factory=dict)
    leases: Iterable[str] = ()
    waiting: Iterable[str] = ()
    leftovers: Iterable[str] = ()
    batches: Mapping[tuple[str, str], list[set[str]]] = field(default_factory=dict)
    routed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: Mapping[str, object] = field(default_factory=dict)
    gives: object = None
    documents: Mapping[str, Mapping[str, Told]] = field(default_factory=dict)
    claimed: set[tuple[str, str, str]] | None = None
    had: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    has: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    live: Iterable[str] = ()


def violations(seen: Seen) -> list[str]:
    """Every sentence about what does not hold; empty when all of it does."""
    return [
        *_truth(seen),
        *_once(seen),
        *_intents(seen),
        *_ended(seen),
        *_proofs(seen),
        *_rollouts(seen),
        *_sides(seen),
        *_changing(seen),
        *_variables(seen),
        *_documents(seen),
        *_files(seen),
        *_calendar(seen),
    ]


def _truth(seen: Seen) -> Iterable[str]:
    for host, digest in seen.running.items():
        told = seen.told.get(host)
        if digest is not None and digest not in seen.approved:
            yield f"I1: {host} runs {digest[:19]}, which nobody approved"
        if told is None or told.truth == "unknown":
            continue
        if told.truth == "empty" and digest is not None:
            yield f"I3: {host} is told to be empty and runs {digest[:19]}"
        if told.truth in {"seen", "assumed"} and told.digest != digest:
            yield f"I1: {host} runs {str(digest)[:19]} and is told to run {str(told.digest)[:19]}"
    good = [run for run, state in seen.ended.items() if state in {"succeeded", "rolled back"}]
    if good and seen.verified is not None:
        for host, digest in seen.running.items():
            told = seen.told.get(host)
            if told is not None and told.is_standby:
                continue
            if digest != seen.verified and (told is None or told.truth != "unknown"):
                yield f"I1: {host} runs {str(digest)[:19]}, and the release verified last is {seen.verified[:19]}"


def _calendar(seen: Seen) -> Iterable[str]:
    """What a process that died had begun may be completed: it can have changed something."""
    closed, had = set[str](), set[str]()
    begun: dict[str, set[str]] = {}
    inherited: dict[str, set[str]] = {}
    for kind, run, *rest in seen.order:
        step = rest[0].partition("~")[0]
        if kind == "process":
            inherited[run] = set(begun.get(run, ()))
        elif kind == "calendar" and rest[0] == "kept":
            yield f"I12: {run} kept its environment while it was held"
        elif kind == "calendar":
            (closed.add if rest[0] == "closed" else closed.discard)(run)
        elif kind == "journal" and rest[0] == "step.started":
            begun.setdefault(run, set()).add(rest[1].partition("~")[0])
        elif kind == "journal" and rest[0] == "notice" and run in closed and run in had and rest[2] == "held":
            yield f"I12: {run} was held before {rest[1]}, after it had changed something"
        elif kind == "effect" and run in closed and run not in had and step not in inherited.get(run, ()):
            yield f"I12: {rest[0]} of {run} had the first effect while its environment was closed"
        if kind == "effect":
            had.add(run)


def _once(seen: Seen) -> Iterable[str]:
    complete: set[tuple[str, str, str]] = set()
    newest: dict[str, int] = {}
    for done in seen.ledgers:
        key = (done.host, done.run, done.step)
        if key in complete:
            yield f"I2: {done.step} of {done.run} was done on {done.host} again"
        if done.complete:
            complete.add(key)
        if done.fence and done.fence < newest.get(done.host, 0):
            yield f"I2: {done.host} took fence {done.fence} after {newest[done.host]}"
        newest[done.host] = max(newest.get(done.host, 0), done.fence)


def _intents(seen: Seen) -> Iterable[str]:
    started: set[tuple[str, str]] = set()
    for kind, run, *rest in seen.order:
        if kind == "journal" and rest[0] == "step.started":
            started.add((run, rest[1].partition("~")[0]))
        if kind == "effect" and (run, rest[0].partition("~")[0]) not in started:
            yield f"I4: {rest[0]} of {run} had an effect before its intent was written"
        step = rest[0].partition("~")[0]
        if kind == "effect" and seen.claimed is not None and (rest[1], run, step) not in seen.claimed:
            yield f"I4: {step} of {run} had an effect on {rest[1]}, whose ledger knows nothing of it"


def _ended(seen: Seen) -> Iterable[str]:
    for run, state in seen.ended.items():
        if state not in ENDINGS:
            yield f"I6: {run} has not ended: {state}"
    for name, found in (("lease", seen.leases), ("place in a queue", seen.waiting), ("", seen.leftovers)):
        for item in found:
            yield f"I5: a {name} is left: {item}" if name else f"I5: left behind: {item}"


def _proofs(seen: Seen) -> Iterable[str]:
    """A run that ended well has proved the environment after its last effect; a refused one has changed nothing."""
    last: dict[str, str] = {}
    for kind, run, *rest in seen.order:
        if kind == "effect":
            last |= {run: f"{rest[0]} had an effect"} if rest[0] != "retire" else {}  # of what stands by
        elif _is_proof(*rest):
            last[run] = "proved"
        elif rest[0] == "verified" and last.get(run, "proved") != "proved":
            yield f"I3: {run} called a release verified, and then came no proof: {last[run]}"
    for run, state in seen.ended.items():
        if state in {"succeeded", "rolled back"} and last.get(run, "proved") != "proved":
            yield f"I3: {run} is told to have {state}, unproved: {last[run]}"
        changed = [host for host, digest in seen.before.items() if seen.running.get(host, digest) != digest]
        if state == "failed" and changed:
            yield f"I3: {run} is told to have changed nothing, and {', '.join(changed)} run something else"


def _is_proof(kind: str, step: str, outcome: str) -> bool:
    """Whether a record of the journal says that the whole environment was looked at, and was good."""
    whole = step.partition("~")[0].endswith((".environment", ".restored", ".rehearse.again")) or ".watch." in step
    return kind == "step.finished" and step.startswith("verify.") and outcome == "succeeded" and whole


def _rollouts(seen: Seen) -> Iterable[str]:
    """No host of a later batch is touched before its step's earlier batches have been proved."""
    proved: set[tuple[str, str]] = set()
    for kind, run, *rest in seen.order:
        if kind == "journal" and rest[0] == "step.finished" and rest[1].startswith("verify."):
            if rest[2] == "succeeded":
                proved.add((run, _proved_by(rest[1])))
        elif kind == "effect":
            step, host = rest[0].partition("~")[0], rest[1]
            name, _, number = step.rpartition(".")
            batches = seen.batches.get((run, name))
            if batches is None or not number.isdigit():
                continue
            if host not in batches[int(number) - 1]:
                yield f"I7: {step} of {run} touched {host}, which is not in its batch"
            if int(number) > 1 and (run, f"{name}.{int(number) - 1}") not in proved:
                yield f"I7: {step} of {run} began before batch {int(number) - 1} was proved"


def _proved_by(suite: str) -> str:
    """The batch that a step `verify.<suite>.<step>.<batch>` proves; it may be repeated: `verify.<suite>.again.1.…`."""
    parts = suite.partition("~")[0].split(".")[2:]
    return ".".join(parts[2:] if parts[:1] == ["again"] and parts[1].isdigit() else parts)


def _sides(seen: Seen) -> Iterable[str]:
    if not seen.routed:
        return
    if any(told.switch_uncertain for told in seen.told.values()):
        for run, state in seen.ended.items():
            if state in {"succeeded", "rolled back"}:
                yield f"I8: {run} is told to have {state}, and nobody knows which side is live"
    else:
        live = {host for host in seen.running if host in seen.told and not seen.told[host].is_standby}
        for router, hosts in seen.routed.items():
            if not set(hosts) <= live:
                yield f"I8: {router} leads to {', '.join(hosts)}, and {', '.join(sorted(live))} are told to be live"
    away = False
    for kind, run, *rest in seen.order:
        away = away or (kind == "effect" and rest[0].partition("~")[0] == "switch")
        if kind == "effect" and not away and rest[1] in set(seen.live) and "." in rest[0]:
            yield f"I8: {rest[0]} of {run} touched {rest[1]}, which was live"


def _changing(seen: Seen) -> Iterable[str]:
    """Switches are apart: they change no release. What they are about is told by I8."""
    told: dict[str, str] = {}
    for kind, run, *rest in seen.order:
        if kind == "journal" and rest[0] == "host":
            told[rest[1]] = rest[2]
        switching = rest[0].partition("~")[0] in {"switch", "switch.back"}
        if kind == "effect" and not switching and rest[1] in seen.told and told.get(rest[1]) != "changing":
            yield f"I9: {rest[0]} of {run} touched {rest[1]}, which was told to be {told.get(rest[1], 'as it was')}"
    for host, known in seen.told.items():
        if known.truth == "changing" and all(state in ENDINGS for state in seen.ended.values()):
            yield f"I9: {host} is told to be changing, and nothing changes it"


def _variables(seen: Seen) -> Iterable[str]:
    if seen.gives is None or not any(state in {"succeeded", "rolled back"} for state in seen.ended.values()):
        return
    for host, given in seen.given.items():
        if given != seen.gives and host in seen.running:
            yield f"I10: {host} has {given}, and the infrastructure gives {seen.gives}"


def _documents(seen: Seen) -> Iterable[str]:
    """What a document says of a host is what the others say, and what it runs; a document may leave hosts out."""
    for name, hosts in seen.documents.items():
        for host, said in hosts.items():
            known = seen.told.get(host, Told("empty", None))  # hosts that were destroyed are listed no longer
            if (known.truth, known.digest) != (said.truth, said.digest):
                yield f"I3: {name} says that {host} is {said.truth}, {said.digest}, and status says {known}"


def _files(seen: Seen) -> Iterable[str]:
    if not seen.ended or not all(state in {"rolled back", "failed"} for state in seen.ended.values()):
        return
    for host, had in seen.had.items():
        has = seen.has.get(host)
        if has is None:
            yield f"I11: {host} is gone"
            continue
        for name in sorted({*had, *has}):
            if had.get(name) != has.get(name):
                yield f"I11: {name} on {host} was {had.get(name)!r}, and is {has.get(name)!r}"
