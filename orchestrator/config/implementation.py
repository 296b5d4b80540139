"""`implementation/*.yaml`: the templates of implementation plans."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from orchestrator.config.diagnose import build
from orchestrator.config.source import Source, read_source
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.implementation import ImplementationTemplate, template_faults

FOLDER = "implementation"


def implementation_files(root: Path) -> list[Path]:
    """The files of the project at *root*, by name."""
    return sorted((root / FOLDER).glob("*.yaml"))


def load_implementation(file: Path, root: Path) -> ImplementationTemplate:
    """The template in *file*. Raises F-codes, all at once."""
    shown = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
    return build(read_source(file, shown), ImplementationTemplate, _faults)


def _faults(source: Source) -> Iterator[OrchestratorError]:
    for fault in template_faults(source.data):
        close = get_close_matches(fault.name, fault.known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(fault.known) or 'none'}"
        shown = hint if fault.name else None
        yield OrchestratorError("F160", fault.text, where=source.where(fault.path), hint=shown)
