"""Secrets of clients at OpenID Connect providers: read from the environment or a file each time, and kept nowhere."""

from collections.abc import Mapping
from pathlib import Path

from orchestrator.domain.access.providers import SecretPlace
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.secret import Secret
from orchestrator.secret_values import SecretValues

SOURCE = "sign-in providers"


class ClientSecrets:
    """Reads secrets from the variables *environ*, and from files that are relative to *root*. *known* masks them."""

    def __init__(self, environ: Mapping[str, str], root: Path, known: SecretValues) -> None:
        self._environ, self._root, self._known = environ, root, known

    def __call__(self, place: SecretPlace) -> str:
        """The secret at *place*. Raises N150, without any part of it."""
        value = self._read(place).strip()
        if not value:
            name = f"the variable {place.variable}" if place.file is None else place.file
            raise OrchestratorError("N150", f"{name} has no value")
        self._known.learn(SOURCE, [Secret("client_secret", value.encode())])
        return value

    def _read(self, place: SecretPlace) -> str:
        if place.file is None:
            return self._environ.get(place.variable or "", "")
        try:
            return (self._root / place.file).read_text("utf-8")
        except OSError as error:
            raise OrchestratorError("N150", f"{place.file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise OrchestratorError("N150", f"{place.file} is not UTF-8") from None
