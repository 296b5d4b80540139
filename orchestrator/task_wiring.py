"""The parts of a project that do the work of tasks of implementation plans, and start plans for runs."""

import socket
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.app.application import Application
    from orchestrator.app.front_end import ApplicationParts
    from orchestrator.app.task_work import WorkOrder
    from orchestrator.management.implementation_plans.model import Task
    from orchestrator.management.implementation_plans.ports import TemplateFile
    from orchestrator.management.implementation_plans.works import TaskWorks, WorkResult
    from orchestrator.ports import Implementations, Jobs

    class Base(ApplicationParts):
        """What these parts need of the others."""

        @property
        def jobs(self) -> Jobs:
            """Child processes."""
else:
    Base = object


class TaskParts(Base):
    """What `App` has of the work of tasks."""

    @cached_property
    def task_works(self) -> "TaskWorks":
        """Does the work of tasks on this machine."""
        return ProjectTaskWorks(self, self.jobs)

    @cached_property
    def implementations(self) -> "Implementations":
        """The implementation plans that steps of runs start."""
        from orchestrator.domain.access.principals import SYSTEM_ACTOR
        from orchestrator.management.implementation_plans.run_steps import RegisterImplementations

        return RegisterImplementations(lambda: self.acting_as(SYSTEM_ACTOR), read_template)


class ProjectTaskWorks:
    """The `TaskWorks` of a project: its environments, its packages and its jobs."""

    def __init__(self, app: "ApplicationParts", jobs: "Jobs") -> None:
        self._app, self._jobs = app, jobs
        self.machine = machine_name(app.state)

    def stop(self, plan: "str", task: "Task") -> bytes:
        """End its job if it runs here."""
        from orchestrator.app.task_work import printed

        order = self._order(plan, task)
        self._jobs.stop(order.job)
        return printed(self._jobs, order)

    def perform(self, plan: str, task: "Task", stopped: "Callable[[], bool]") -> "WorkResult":
        """Do the work of *task*, or follow it."""
        from dataclasses import replace

        from orchestrator.app.task_work import host_evidence, perform_work, printed
        from orchestrator.domain.access.principals import SYSTEM_ACTOR
        from orchestrator.management.implementation_plans.works import WorkResult

        named = task.playbook.package if task.playbook is not None else None
        releases = cast("Application", self._app).releases
        package = releases.kept_package(task.actor or SYSTEM_ACTOR, named) if named else None
        order = replace(self._order(plan, task), package=package)
        result = perform_work(self._app.services, self._jobs, order, stopped)
        log, message = printed(self._jobs, order), result.message or result.outcome.value
        hosts = host_evidence(result, order.work)
        if result.good:
            return WorkResult("done", message, log, hosts)
        if result.is_lost:
            return WorkResult("failed", f"interrupted: it is not known what was done ({message})", log, hosts)
        return WorkResult("stopped" if stopped() else "failed", message, log, hosts)

    def _order(self, plan: str, task: "Task") -> "WorkOrder":
        from orchestrator.app.task_work import WorkOrder
        from orchestrator.management.implementation_plans.works import direct_work

        work = direct_work(task)
        assert work is not None
        about = f"{plan}:{task.name}: {task.work}"
        return WorkOrder(f"{plan.lower()}-{task.root}", task.name, about, str(task.actor), work)


def machine_name(state: "Path") -> str:
    """What this machine and the folder *state* on it are called in records."""
    return f"{socket.gethostname()}:{state}"


class ProjectImplementationSources:
    """The `ImplementationSources` of a project: its files."""

    def __init__(self, app: "ApplicationParts") -> None:
        self._app = app

    def template_names(self) -> tuple[str, ...]:
        """The names of the files in `implementation/`."""
        from orchestrator.config.implementation import implementation_files

        return tuple(file.stem for file in implementation_files(self._app.root))

    def template(self, name: str) -> "TemplateFile":
        """The template called *name*. Raises A110 and F-codes."""
        from orchestrator.app.acting import unknown
        from orchestrator.config.implementation import implementation_files

        files = {file.stem: file for file in implementation_files(self._app.root)}
        if name not in files:
            raise unknown("implementation file", name, sorted(files))
        return read_template(files[name], self._app.root)


def read_template(file: Path, root: "Path | None" = None) -> "TemplateFile":
    """The template in *file*, which messages name below *root*. Raises F-codes with every fault of it."""
    from orchestrator.config.implementation import load_implementation
    from orchestrator.domain.model import digest_of
    from orchestrator.management.implementation_plans.ports import TemplateFile

    found = load_implementation(file, root or file.parent)
    return TemplateFile(file.stem, found, digest_of(found.to_json()))
