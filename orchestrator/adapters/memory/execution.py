"""Durable execution in memory: a request is executed in its process, and its answers outlive the execution."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from orchestrator.adapters.memory.durable import Answers, MemoryDurable
from orchestrator.domain.journal import QueuedRequest
from orchestrator.ports import Parallel, RunOwnership, Store

Workflow = Callable[[Parallel, RunOwnership, dict[str, object]], dict[str, object]]


class MemoryExecution:
    """Executes the *workflow* of each request with the ownership *ownership*; *store* learns when one is done."""

    here = "this process"

    def __init__(self, store: Store, workflow: Workflow, ownership: RunOwnership) -> None:
        self._store, self._workflow, self._tenure = store, workflow, ownership
        self._answers: dict[str, Answers] = {}
        self._active = threading.Lock()
        self._root = ""

    def begin(self, root: str, arguments: dict[str, object]) -> Callable[[], dict[str, object]]:
        """The execution of *root*, which starts when it is waited for."""
        self._root = root

        def part(durable: MemoryDurable, one: object) -> dict[str, object]:
            return self._workflow(durable, self._tenure, {**arguments, "part": one})

        def execute() -> dict[str, object]:
            with self._active:
                durable = MemoryDurable(self._answers.setdefault(root, {}), part=part)
                done = self._workflow(durable, self._tenure, arguments)
                self._store.release_claim(root, "", done=True)
                return done

        return execute

    def working(self, root: str) -> bool:
        """Whether *root* is being executed."""
        return self._active.locked() and root == self._root

    def works_on(self, work: QueuedRequest) -> bool:
        """The same, for a request that was just read."""
        return self.working(work.root)

    def leftover(self) -> list[QueuedRequest]:
        """Nothing is left behind: an execution ends with its process."""
        return []

    def complete_requests(self, by: str) -> set[str]:
        """The requests whose answers are kept and that are done; those that ended after *by* as well."""
        del by
        return {root for root in self._answers if self._store.work(root).done}

    @contextlib.contextmanager
    def alone(self, root: str) -> Iterator[bool]:
        """Whether *root* is not being executed."""
        yield not self.working(root)

    def forget(self, root: str) -> None:
        """Remove the answers of *root*, which is complete."""
        self._answers.pop(root, None)

    def release(self) -> None:
        """No claim is held."""

    def close(self) -> None:
        """Nothing is open."""
