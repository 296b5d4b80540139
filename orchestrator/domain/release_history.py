"""The rollback targets of an environment, from the releases that were verified in it."""

from collections.abc import Mapping, Sequence

from orchestrator.domain.journal import PROMOTION_KINDS, Run, Verified


def verified_history(marks: Sequence[Verified], runs: Mapping[str, Run]) -> tuple[Verified, ...]:
    """The releases that a rollback goes through, the current one first, each once; *marks* are newest first.

    A promotion puts its release first. A rollback, automatic or by hand, takes away what came after the release that is
    restored: so a rollback leads to what the current release took the place of, and never forward again to what was
    rolled back.
    """
    found: list[Verified] = []
    for mark in reversed(marks):
        run, digest = runs.get(mark.run), mark.release.digest
        promoted = run is not None and run.kind in PROMOTION_KINDS and run.release == mark.release
        places = [number for number, other in enumerate(found) if other.release.digest == digest]
        if places and promoted:
            del found[places[0]]
        elif places:
            del found[places[0] :]
        found.append(mark)
    return tuple(reversed(found))
