"""Absences: whether a new one is possible."""

from orchestrator.domain.access.directory import Access, Directory
from orchestrator.domain.access.principals import Absence
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import minute_text
from orchestrator.domain.text import nearest


def check_absence(access: Access, absence: Absence) -> None:
    """Refuse an absence of or with an unknown or disabled user, or at the time of another one. Raises A106.

    A user has one deputy at a time. The right of a deputy is not passed on: whose deputy is absent too has none.
    """
    directory = Directory(access)
    for name in (absence.user, absence.deputy):
        if not directory.is_active_user(name):
            hint = nearest(name, directory.active(directory.users))
            raise OrchestratorError("A106", f"{name} is not an active user", hint=hint)
    for other in access.absences:
        if other.user == absence.user and other.start < absence.end and absence.start < other.end:
            span = f"from {minute_text(other.start)} to {minute_text(other.end)}"
            raise OrchestratorError("A106", f"{absence.user} has {other.deputy} as the deputy {span} already")
