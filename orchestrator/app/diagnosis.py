"""Everything that `doctor` checks: this machine, then a project, also one that cannot be opened."""

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.app.file_checks import check_project
from orchestrator.app.folder_diagnosis import check_folder, check_ignored, check_state, check_vaults
from orchestrator.app.machine_diagnosis import examine_machine
from orchestrator.app.opening import open_application, this_machine
from orchestrator.app.project_diagnosis import ProjectDiagnosis
from orchestrator.domain.diagnosis import Check, ShowTime
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors
from orchestrator.domain.text import counted


def examine(start: Path, environ: Mapping[str, str], show_time: ShowTime = str) -> list[Check]:
    """Check the machine, then the project around *start* if there is one. Times are written by *show_time*."""
    return examine_machine(start, this_machine(environ), environ) + examine_project(start, environ, show_time)


def examine_project(start: Path, environ: Mapping[str, str], show_time: ShowTime = str) -> list[Check]:
    """Check the project around *start*, or report that no project was found."""
    try:
        checked, errors, warnings = check_project(start)
    except OrchestratorError:
        return [Check(name="project", level="ok", says="none here: only the machine was checked")]
    if errors:
        says = f"{counted(len(errors), 'error')} in its files"
        return [Check(name="project", level="problem", says=says, remedy="orchestrator validate shows them")]
    says = f"{counted(len(checked), 'file')} valid" + (f", {counted(len(warnings), 'warning')}" if warnings else "")
    state = _guarded(lambda: check_state(start, environ))
    checks: list[Callable[[], Check]] = [
        lambda: check_folder(start),
        lambda: check_vaults(start),
        lambda: check_ignored(start),
    ]

    def opened() -> ProjectDiagnosis:
        return open_application(start, environ).diagnosis(this_machine(environ))

    if state.level != "problem":  # all the others depend on it
        checks += [
            lambda: opened().stacks(),
            lambda: opened().runtimes(),
            lambda: opened().store(),
            lambda: opened().databases(),
            lambda: opened().artifacts(),
            lambda: opened().workers(show_time),
        ]
    found = [Check(name="project", level="ok", says=says), state, *(_guarded(check) for check in checks)]
    if state.level == "problem":
        return found
    try:
        return [*found, *opened().situation()]
    except (OrchestratorError, OrchestratorErrors):  # the checks above have named it
        return found


def _guarded(check: Callable[[], Check]) -> Check:
    """A check that cannot be made is a problem, with the words of any other command."""
    try:
        return check()
    except OrchestratorError as error:
        name = "store" if error.code.startswith("S") else "project"
        return Check(name=name, level="problem", says=error.message, remedy=f"orchestrator explain {error.code}")
    except OrchestratorErrors as errors:
        return Check(name="project", level="problem", says=str(errors), remedy="orchestrator validate")
