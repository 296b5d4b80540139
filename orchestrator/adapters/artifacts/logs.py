"""What jobs have printed, kept by digest where every machine finds it."""

import json
from collections.abc import Iterator
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Entry
from orchestrator.ports import Artifacts

PRINTED, OUTCOME = "output.log", "outcome.json"


class SharedLogs:
    """The `Logs` port: the output of the jobs in the folder *jobs*, given to *artifacts* once they have ended."""

    def __init__(self, jobs: Path, artifacts: Artifacts) -> None:
        self._jobs, self._artifacts = jobs, artifacts

    def keep(self, job: str) -> list[Entry]:
        """An entry with the digest for each job that printed something; a warning where it could not be shared."""
        return [self._keep(folder) for folder in self._ended(job)]

    def _keep(self, folder: Path) -> Entry:
        file = folder / PRINTED
        try:
            digest, cut = self._artifacts.put(file), json.loads((folder / OUTCOME).read_text()).get("cut", 0)
        except (OrchestratorError, OSError, ValueError) as error:
            why = error.message if isinstance(error, OrchestratorError) else type(error).__name__
            text = f"what {folder.name} printed is only on the machine that ran it: {why}"
            return Entry(kind="notice", data={"level": "warning", "text": text}, key=f"log:{folder.name}")
        data = {"job": folder.name, "digest": digest, "size": file.stat().st_size, "cut": cut}
        return Entry(kind="log", data=data, key=f"log:{folder.name}")

    def _ended(self, job: str) -> Iterator[Path]:
        if not self._jobs.is_dir():
            return
        for folder in sorted(self._jobs.iterdir()):
            if folder.name == job or folder.name.startswith(f"{job}."):
                file = folder / PRINTED
                if (folder / OUTCOME).is_file() and file.is_file() and file.stat().st_size:
                    yield folder
