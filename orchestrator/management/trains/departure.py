"""The departure: membership is resolved once, by the prognosis of that moment, and recorded with earlier releases."""

from collections.abc import Mapping

from orchestrator.app.acting import Acting, Change
from orchestrator.app.forwarding import forwarded
from orchestrator.domain.access.principals import ActorKind
from orchestrator.domain.model import digest_of
from orchestrator.management.trains.decisions import change_train
from orchestrator.management.trains.facts import prognosis_with_facts
from orchestrator.management.trains.model import Boarding, PreviousRelease, Train
from orchestrator.management.trains.ports import TrainSources
from orchestrator.management.trains.prognosis import BoardingFacts, BoardingPrognosis, Prognosis
from orchestrator.management.trains.records import put_train
from orchestrator.management.trains.state import BoardingEvent, TrainEvent, TrainState

NOTHING_LEAVES = "no package can leave"


@forwarded
def depart(acting: Acting, key: str, sources: TrainSources, reason: str = "") -> Train:
    """Have a train depart before its time, with the rights of the actor for its promotions. Raises A110 and G101."""

    def work(task: Change, train: Train) -> Train:
        if train.state is TrainState.BOARDING:
            train = put_train(task, train.after_event(TrainEvent.CLOSE), TrainEvent.CLOSE)
        return put_departed(task, train, sources)

    return change_train(key, acting, work, reason)


def put_departed(task: Change, train: Train, sources: TrainSources) -> Train:
    """Write the departure of *train*, whose boarding is closed. If no package can leave, it is held."""
    actor = task.acting.actor
    if actor.kind is not ActorKind.SYSTEM:
        train = train.model_copy(update={"conductor": actor})
    found, facts = prognosis_with_facts(task, train, sources, task.now.earliest)
    if not found.leaving:
        return _put_held(task, train, found)
    leaving = [_departed(train, each) for each in found.leaving]
    stayed = [_stayed(train, each) for each in found.members if not each.leaves]
    names = {member.name for member in (*leaving, *stayed)}
    others = [member for member in train.members if member.name not in names]
    digests = sorted((member.name, member.digest) for member in leaving)
    fields = {
        "members": (*leaving, *stayed, *others),
        "set_digest": digest_of([list(each) for each in digests]),
        "previous": tuple(_previous(leaving, facts)),
        "departed_at": task.now.earliest,
        "note": "",
    }
    packages = [str(member.release) for member in leaving]
    after = train.after_event(TrainEvent.DEPART, **fields)
    stays = {member.name: str(member.reason) for member in stayed}
    return put_train(task, after, TrainEvent.DEPART, packages=packages, set=after.set_digest, stayed=stays)


def _put_held(task: Change, train: Train, found: Prognosis) -> Train:
    """Write that *train* is held, because no package can leave."""
    reasons = (f"{each.package}: {each.why.text}" for each in found.members if each.why is not None)
    note = f"{NOTHING_LEAVES}: {'; '.join(reasons) or 'none is aboard'}"[:2000]
    return put_train(task, train.after_event(TrainEvent.HOLD, note=note), TrainEvent.HOLD)


def _departed(train: Train, found: BoardingPrognosis) -> Boarding:
    member = train.member(found.package.name)
    assert member is not None
    return member.after_event(BoardingEvent.DEPART, train.id, environments=found.environments)


def _stayed(train: Train, found: BoardingPrognosis) -> Boarding:
    member, why = train.member(found.package.name), found.why
    assert member is not None
    assert why is not None
    return member.after_event(BoardingEvent.STAY, train.id, reason=why.reason, note=why.text[:2000])


def _previous(leaving: list[Boarding], facts: Mapping[str, BoardingFacts]) -> list[PreviousRelease]:
    found = []
    for member in leaving:
        for name in member.environments:
            place = facts[member.name].places[name]
            about = {"environment": name, "name": member.name, "release": place.previous, "newest": place.newest}
            found.append(PreviousRelease.model_validate(about))
    return found
