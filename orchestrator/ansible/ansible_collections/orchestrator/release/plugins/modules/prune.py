# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: prune
short_description: Remove old releases
version_added: 0.1.0
description:
  - Keeps the newest ones, and always the current and the previous one.
options:
  root:
    description:
      - "Folder that contains the releases. Defaults to the host's variable C(orchestrator_root), otherwise to the older C(release_root) or C(host_root)."
    type: path
  release:
    description:
      - "Name, version and digest of the release. Defaults to the variable C(orchestrator_release), which the orchestrator sets."
    type: dict
  keep:
    description:
      - "How many releases to keep on the host; the current and the previous one always stay."
    type: int
    default: 5
attributes:
  check_mode:
    support: full
    description: Reports what would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows the difference of configuration files.
author: The Orchestrator authors
"""

EXAMPLES = r"""
- name: Tidy up
  orchestrator.release.prune:
    keep: 3
"""

RETURN = r"""
orchestrator_release:
  description: The release that the host reports as current.
  returned: always
  type: dict
  sample: {digest: "sha256:…", name: shop, version: 1.0.0, since: "2026-01-01T00:00:00Z", run: 7f3a}
previous:
  description: The release that was current before.
  returned: always
  type: dict
installed:
  description: The releases on the host.
  returned: always
  type: list
did:
  description: What was changed, in order.
  returned: always
  type: list
"""
