# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: configure
short_description: Render configuration into a release
version_added: 0.1.0
description:
  - Writes rendered templates into the installed release.
options:
  root:
    description:
      - "Folder that contains the releases. Defaults to the host's variable C(orchestrator_root), otherwise to the older C(release_root) or C(host_root)."
    type: path
  release:
    description:
      - "Name, version and digest of the release. Defaults to the variable C(orchestrator_release), which the orchestrator sets."
    type: dict
  config:
    description:
      - "Files to render into the release: C(src) (a template), C(dest) (relative to the release), C(mode)."
    type: list
    elements: dict
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
- name: Render the configuration
  orchestrator.release.configure:
    config: [{src: shop.ini.j2, dest: shop.ini, mode: "0640"}]
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
