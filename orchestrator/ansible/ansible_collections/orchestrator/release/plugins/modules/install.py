# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: install
short_description: Install a release beside the others
version_added: 0.1.0
description:
  - Unpacks the artifact with its digest checked on the host. The folder appears complete, or not at all.
options:
  root:
    description:
      - "Folder that contains the releases. Defaults to the host's variable C(orchestrator_root), otherwise to the older C(release_root) or C(host_root)."
    type: path
  release:
    description:
      - "Name, version and digest of the release. Defaults to the variable C(orchestrator_release), which the orchestrator sets."
    type: dict
  artifact:
    description:
      - "Name of one of the release's artifacts, or a dictionary with C(path) and C(sha256). Defaults to the only one."
    type: raw
  shared:
    description:
      - "Folders of the release that are links into C(shared/), and so outlive it."
    type: list
    elements: str
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
- name: Install the release
  orchestrator.release.install:
    shared: [data]
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
