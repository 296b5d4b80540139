"""`access.yaml`: read strictly, with every unknown name at its place."""

from pathlib import Path

from orchestrator.config.diagnose import build
from orchestrator.config.source import read_source
from orchestrator.domain.access.access_file import AccessFile, problems
from orchestrator.domain.access.directory import Access
from orchestrator.domain.errors import OrchestratorError, OrchestratorErrors


def load_access(file: Path, known: Access | None = None) -> AccessFile:
    """The access file at *file*. Raises F-codes, A104 and A105, all at once.

    Names may be those of the file itself or of *known*, what the project has recorded.
    """
    source = read_source(file, file.name)
    built = build(source, AccessFile)
    errors = [
        OrchestratorError(each.code, each.message, where=source.where(each.path), hint=each.hint or None)
        for each in problems(built, known)
    ]
    if errors:
        raise OrchestratorErrors(errors)
    return built
