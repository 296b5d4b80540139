"""What a process that runs code of a project finds of the controller: its view.

Standard library only, and small: the supervisor of every job reads it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class View:
    """The files and folders that a process finds besides the programs and libraries of the system.

    Paths are absolute. A path that does not exist is left out when the process starts.

    Attributes:
        read: what it may read, each at its own path.
        write: what it may also write.
        placed: folders that it finds at another path and may write: pairs of the folder and of that path.
        empty: folders that are empty when it starts, and end with it: its home folder.
        hidden: what it does not find, even below a folder that it may read.
        environment: the environment whose credentials it has; empty for none.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    placed: tuple[tuple[str, str], ...] = ()
    empty: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    environment: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `job.json` has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "View":
        """The reverse of :meth:`to_json`."""
        pairs = tuple((str(source), str(target)) for source, target in data["placed"])
        names = {name: tuple(map(str, data[name])) for name in ("read", "write", "empty", "hidden")}
        return cls(placed=pairs, environment=str(data["environment"]), **names)

    def more(self, *, read: tuple[str, ...] = (), write: tuple[str, ...] = ()) -> "View":
        """The same view, with more that may be read and written."""
        placed, empty, hidden = self.placed, self.empty, self.hidden
        return View((*self.read, *read), (*self.write, *write), placed, empty, hidden, self.environment)
