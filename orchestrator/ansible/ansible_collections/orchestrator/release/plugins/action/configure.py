# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action behind orchestrator.release.configure."""

from __future__ import annotations

from ansible_collections.orchestrator.release.plugins.plugin_utils.onetrip import OneTrip


class ActionModule(OneTrip):
    """Render configuration into a release."""

    VERBS = ('configure',)
    OPTIONS = frozenset({"config"})
