"""The secrets that this process knows, and the one filter through which everything passes that it writes or shows.

Sources report what they read: Pulumi's state and configuration, vault-encrypted values, declared variables and files.
No value is ever read from the journal: a process that resumes a run reads them from their sources again.
"""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.domain.redaction import Redactor
from orchestrator.domain.secret import Secret

if TYPE_CHECKING:
    from orchestrator.domain.model import Model  # takes a while to import: the command line does not need it

M = TypeVar("M", bound="Model")
SURROUNDINGS = "environment variables"
"""The source of variables that are secret by their names. They are not chosen for a run, so no plan warns of them."""


class SecretValues:
    """The secrets of a run, by the source that reported them. They are only ever added; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: dict[str, frozenset[Secret]] = {}
        self._names: frozenset[str] = frozenset()
        self._redactor: Redactor | None = Redactor()

    def learn(self, source: str, secrets: Iterable[Secret]) -> None:
        """Mask *secrets* from now on. *source* names where they were read, for messages."""
        found = frozenset(secrets)
        with self._lock:
            before = self._sources.get(source, frozenset())
            if not found <= before:
                self._sources[source] = before | found
                self._redactor = None

    def learn_names(self, names: Iterable[str]) -> None:
        """Treat values that are one of *names* (hosts, groups, environments, releases, steps) as ordinary."""
        found = frozenset(names)
        with self._lock:
            if not found <= self._names:
                self._names |= found
                self._redactor = None

    @property
    def redactor(self) -> Redactor:
        """What masks every secret that is known so far."""
        with self._lock:
            if self._redactor is None:
                self._redactor = self._new_redactor()
            return self._redactor

    def _new_redactor(self) -> Redactor:
        secrets = {secret for found in self._sources.values() for secret in found}
        if not secrets:
            return Redactor()
        from orchestrator.domain.own_words import own_words  # imports every model

        ordered = sorted(secrets, key=lambda secret: (secret.key, secret.value))
        return Redactor(ordered, self._names, words=own_words())

    def ordinary(self) -> list[tuple[str, str]]:
        """The source and the key of each reported secret that is not masked wherever it occurs, sorted."""
        weak = set(self.redactor.weak)
        with self._lock:
            reported = [(source, found) for source, found in self._sources.items() if source != SURROUNDINGS]
            return sorted({(source, secret.key) for source, found in reported for secret in found & weak})

    def text(self, text: str) -> str:
        """*text* with every known secret masked."""
        return self.redactor.text(text)

    def document(self, document: M) -> M:
        """*document* with every known secret masked. Raises `ValueError` if it cannot be masked."""
        data = document.to_json()
        masked = self.data(data)
        return document if masked is data else type(document).from_json(masked)

    def json(self, text: str) -> str:
        """The JSON *text* with every known secret masked; it stays JSON."""
        return self.redactor.json(text)

    def data(self, value: Any) -> Any:
        """The JSON *value* with every known secret masked."""
        return self.redactor.data(value)


class _Process:
    """What this process knows: of the project that is open in it, or of all projects of a server."""

    values = SecretValues()


def process_secrets() -> SecretValues:
    """The secrets of the project that is open in this process."""
    return _Process.values


def use(values: SecretValues) -> None:
    """Let *values* be those of this process: its terminal, its databases and its crash reports."""
    _Process.values = values
