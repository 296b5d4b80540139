"""The build hook of the wheel: without every file of `assets.lock` no wheel is made."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AssetsHook(BuildHookInterface[BuilderConfig]):
    """Fetches the third-party files of browsers into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is missing, unless the project is only installed in place. Raises `RuntimeError`."""
        del build_data
        if version == "editable":
            return
        assets = runpy.run_path(str(Path(self.root) / "tools" / "assets.py"))
        assets["fetch_assets"](assets["locked"]["FOLDER"])
        faults = assets["locked"]["asset_faults"]()
        if faults:
            raise RuntimeError("; ".join(faults))
