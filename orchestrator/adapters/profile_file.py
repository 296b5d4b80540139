"""The file with the profiles of servers, in the user's configuration folder. Only the user can read it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.server_profiles import ServerProfiles
from orchestrator.file_system import read_bounded, write_whole

MOST_BYTES = 1024 * 1024


def profile_path(environ: Mapping[str, str]) -> Path:
    """The file: `orchestrator/servers.json` in `XDG_CONFIG_HOME`, otherwise in `~/.config`."""
    home = Path(environ.get("HOME", "/"))
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "orchestrator" / "servers.json"


class ProfileFile:
    """The `ProfileStore` in a file of the user."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.path = profile_path(environ)

    def read(self) -> ServerProfiles:
        """All profiles. Raises N138 for a file that others can read, or that is not one of profiles."""
        try:
            mode = self.path.stat()
            text = read_bounded(self.path, MOST_BYTES)
        except FileNotFoundError:
            return ServerProfiles()
        except OSError as error:
            raise OrchestratorError("N138", f"{self.path}: {error.strerror}") from error
        if mode.st_mode & 0o077 or mode.st_uid != os.getuid():
            shown = f"the mode {stat.S_IMODE(mode.st_mode):04o}" if mode.st_mode & 0o077 else "another owner"
            raise OrchestratorError("N138", f"{self.path} has {shown}", hint=f"chmod 600 {self.path}")
        try:
            return ServerProfiles.model_validate_json(text)
        except ValidationError as error:
            raise OrchestratorError("N138", f"{self.path} is not a file of profiles") from error

    def write(self, profiles: ServerProfiles) -> None:
        """Keep *profiles*. Raises N138."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self.path, profiles.model_dump_json(indent=1) + "\n", flush=True)
        except OSError as error:
            raise OrchestratorError("N138", f"{self.path}: {error.strerror}") from error
