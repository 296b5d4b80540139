"""Credentials that a run needs, and that a machine does not have. No value of a credential is ever in a record."""

from collections.abc import Iterable
from typing import Literal

from orchestrator.domain.model import Model


class MissingCredential(Model):
    """A credential that the *machine* that made a plan does not have.

    *what* is missing, in a sentence. *place* is where that machine must have it: a path, or the name of a variable.
    *why* names the setting that needs it, and *remedy* what to do. *needed_for* is what it is needed for: the `plan`
    itself, which is not complete without it, connections to `hosts`, or `gates`, which a plan does not query.
    """

    what: str
    place: str
    why: str
    remedy: str
    machine: str = ""
    needed_for: Literal["plan", "hosts", "gates"]

    @property
    def hides(self) -> bool:
        """Whether a plan that is made without it does not show all that would be done."""
        return self.needed_for != "gates"

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place.startswith("/") else ""
        return f"{self.what} on {self.machine}{place}"


def missing_variable(name: str, why: str, needed_for: Literal["plan", "gates"]) -> MissingCredential:
    """The credential in the environment variable *name*, which is not set."""
    remedy = f"set {name} for the server and its workers"
    return MissingCredential(what=f"{name} is not set", place=name, why=why, remedy=remedy, needed_for=needed_for)


def missing_text(missing: Iterable[MissingCredential]) -> str:
    """What is *missing*, for the message of an error."""
    return "; ".join(str(each) for each in missing)
