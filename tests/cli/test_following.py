"""Following a run that another process executes."""

import threading
from datetime import timedelta

from orchestrator.app.queries import Queries
from orchestrator.app.requests import Observe, RunRequest
from orchestrator.app.run_reader import RunReader
from orchestrator.cli.execution import follow_to_end
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.moments import parse_moment
from tests.app.memory_application import MemoryApplication
from tests.cli.memory_project import MemoryProject, project

__all__ = ["project"]  # the fixture


class SlowEnd:
    """A worker that starts the request when its follower has looked for a worker, and is slow after its last record."""

    def __init__(self, app: MemoryApplication, request: RunRequest) -> None:
        self._app, self._request = app, request
        self._ended, self._goes_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=app.engine.begin(request.root, request.to_json()))
        release, store = app.store.release, app.store

        def slow(environment: str, holder: str, worker: str | None = None) -> None:
            self._ended.set()
            self._goes_on.wait(30)
            release(environment, holder, worker)

        store.__dict__["release"] = slow

    def start(self) -> None:
        """Execute the request up to its last record; what follows comes 0.3 s later."""
        if self._thread.ident is None:
            self._thread.start()
            assert self._ended.wait(30)
            threading.Timer(0.3, self._goes_on.set).start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join(30)


class LateReader(RunReader):
    """A reader whose process is slow: each look at the journal comes after the run has ended."""

    worker: SlowEnd

    def has_worker(self, root: str) -> bool:
        """Whether a process works on the request; right after that, one starts."""
        found = super().has_worker(root)
        self.worker.start()
        return found


def test_a_follower_returns_when_the_environment_is_free(project: MemoryProject) -> None:
    """A request is followed until no process works on it: after the last record of its run that still holds the environment."""
    project.go("staging", "1.0.0")
    app = MemoryApplication(project, {})
    now = parse_moment(app.services.clock.now())
    app.register.take_scheduler("worker", now + timedelta(seconds=60))
    request = app.submissions.submit(app.actor, Observe(targets=("staging",)), queue="default")
    worker = SlowEnd(app, request)

    class Reading(Queries):
        def reader(self, actor: Actor) -> RunReader:
            del actor
            found = LateReader(self._parts)
            found.worker = worker
            return found

    app.__dict__["queries"] = Reading(app)
    threading.Timer(0.5, worker.start).start()
    [story] = follow_to_end(app, request)
    assert (story.run.ended, app.store.lease("staging")) == (True, None)
    worker.join()
