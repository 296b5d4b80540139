"""What a worker takes, and what it reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker takes: from which *queue*, how many at once; *once*: until there is nothing that can be taken.

    With *until_input_ends* it stops, as by SIGTERM, when its standard input ends: with the process that holds it open.
    """

    queue: str
    concurrency: int = 1
    once: bool = False
    until_input_ends: bool = False


@dataclass(frozen=True)
class WorkerEvent:
    """Something that a worker reports: *what* it was, of which *root*, done by which *process*, and *why*."""

    what: str
    root: str = ""
    process: int = 0
    why: str = ""
