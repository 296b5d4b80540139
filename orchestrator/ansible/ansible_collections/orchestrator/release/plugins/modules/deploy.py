# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: deploy
short_description: Deploy a release to a host in one round trip
version_added: 0.1.0
description:
  - Installs the artifact with its digest checked on the host, renders configuration, switches C(current) atomically, restarts, probes, and prunes old releases. A release that does not respond is switched back.
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
  config:
    description:
      - "Files to render into the release: C(src) (a template), C(dest) (relative to the release), C(mode)."
    type: list
    elements: dict
  restart:
    description:
      - "Command that restarts the service: a list of words, or a line for C(/bin/sh). Runs in C(current)."
    type: raw
  service:
    description:
      - "A service without a service manager: C(command) (list of words), C(env), C(stop_timeout) in seconds."
    type: dict
  probe:
    description:
      - "The expected response: C(url), C(status) (200), C(contains), C(timeout) in seconds (30), C(interval) (0.05)."
    type: dict
  on_failure:
    description:
      - "The action if the probe fails after a switch: switch back to the previous release, or leave it."
    type: str
    default: revert
    choices: [revert, leave]
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
- name: Put the release on the host
  orchestrator.release.deploy:
    config:
      - {src: shop.ini.j2, dest: shop.ini}
    shared: [data]
    service: {command: [python3, server.py]}
    probe: {url: "http://{{ ansible_host }}:{{ app_port }}/health", contains: "{{ orchestrator_release.version }}"}
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
