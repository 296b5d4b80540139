"""What isolates processes on this machine."""

from typing import Literal, NamedTuple

Kind = Literal["bubblewrap", "namespaces", "none"]
CANNOT = "the process cannot be isolated: "
SIGNALLED = range(129, 160)  # the exit codes by which a shell, and an isolator, report that a signal ended the command


class Isolator(NamedTuple):
    """How processes are isolated: by *bubblewrap* (the program at *path*), by user *namespaces*, or not.

    *reason* states why this one applies. *required* means that nothing may run without one.
    """

    kind: Kind
    path: str = ""
    reason: str = ""
    required: bool = False

    @property
    def isolates(self) -> bool:
        """Whether it isolates at all."""
        return self.kind != "none"

    def to_json(self) -> dict[str, str]:
        """As `job.json` has it."""
        return {"kind": self.kind, "path": self.path}

    def code(self, code: int) -> int:
        """The exit code of a command from the *code* of what isolates it: below 0 if a signal ended the command."""
        return 128 - code if self.isolates and code in SIGNALLED else code

    def failure(self, printed: str) -> str:
        """Why the isolation could not be made, by the last line *printed*; empty if that line does not report it."""
        sign = {"namespaces": CANNOT, "bubblewrap": "bwrap: "}.get(self.kind)
        last = printed.rstrip().rpartition("\n")[2]
        return f"{CANNOT}{last.removeprefix(sign)}" if sign and last.startswith(sign) else ""


NONE = Isolator("none", reason="isolation is off")
