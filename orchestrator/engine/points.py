"""Named points at which a process can be made to die, so that a test can show that it loses nothing.

`ORCHESTRATOR_CRASH` names one, or several with commas between them: `production.deploy.1:done` is between the end of
that step's work and its record. A step has the points `before`, `done` and `recorded`. Its job (`job deploy.1:spawned`)
has `laid`, `spawned`, `ended` (it has an outcome, not read yet) and `event 3` (its third event has been handed
on). Without the variable they cost nothing.
"""

import os
import signal

_WANTED = frozenset(filter(None, os.environ.get("ORCHESTRATOR_CRASH", "").split(",")))


def failpoint(point: str) -> None:
    """Die here, as by `kill -9`, if this point is selected."""
    if point in _WANTED:
        os.kill(os.getpid(), signal.SIGKILL)
