#!/usr/bin/python
# Copyright: The Orchestrator authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host has of what a release requires: one line for each measurement. Changes nothing."""

DOCUMENTATION = r"""
---
module: requirements
short_description: Measure what a release requires of a host
version_added: 0.1.0
description:
  - Measures packages, TCP ports, certificates and endpoints from the host itself. Changes nothing.
  - The action plugin adds the values of expressions over the facts of the host.
options:
  packages:
    description: Names of packages of C(dpkg) or C(rpm).
    type: list
    elements: str
    default: []
  ports:
    description: Whether to list the TCP ports on which a process listens.
    type: bool
    default: false
  certificates:
    description: Files with certificates (PEM).
    type: list
    elements: str
    default: []
  addresses:
    description: "Addresses (C(HOST:PORT)) that present a certificate."
    type: list
    elements: str
    default: []
  endpoints:
    description: "Addresses to reach: C(tcp://HOST:PORT), C(http://…) or C(https://…)."
    type: list
    elements: str
    default: []
  facts:
    description: Expressions of Ansible over the facts of the host.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: Changes nothing.
author: The Orchestrator authors
"""

EXAMPLES = r"""
- name: Measure what the release requires
  orchestrator.release.requirements:
    packages: [openssl]
    ports: true
    certificates: [/etc/ssl/shop.pem]
    endpoints: ["tcp://127.0.0.1:22"]
    facts: [ansible_facts.processor_vcpus]
  register: measured
"""

RETURN = r"""
stdout:
  description: One line for each measurement, of C(@), a word and a JSON object.
  returned: always
  type: str
  sample: '@package {"name": "openssl", "manager": "dpkg", "versions": ["3.0.11-1"]}'
"""

import base64  # noqa: E402
import calendar  # noqa: E402
import concurrent.futures  # noqa: E402
import json  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import socket  # noqa: E402
import ssl  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
import urllib.error  # noqa: E402
import urllib.request  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

WAIT_S = 5
LARGEST = 1 << 20  # bytes of a file with certificates
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
LISTEN = "0A"
QUERIES = {
    "dpkg": ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n"],
    "rpm": ["rpm", "-q", "--qf", "installed %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n"],
}


def said(error):
    """An error in one short line."""
    return str(getattr(error, "reason", None) or error).strip().replace("\n", " ")[:200] or type(error).__name__


def measured(word, name, measure):
    """One line: what *measure* returns of *name*, or why it failed."""
    try:
        found = measure(name)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        found = {"error": said(error)}
    return "@%s %s" % (word, json.dumps(dict(found, name=name), sort_keys=True))


def package(name):
    """The installed versions of a package. Both programs end with 1 for one that is not installed."""
    manager = next((each for each in ("dpkg", "rpm") if shutil.which(QUERIES[each][0])), None)
    if manager is None:
        raise ValueError("the host has neither dpkg nor rpm")
    done = subprocess.run(QUERIES[manager] + ["--", name], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode not in (0, 1):
        raise ValueError(done.stderr or "%s ended with %d" % (manager, done.returncode))
    words = [line.split() for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return {"manager": manager, "versions": sorted({line[1] for line in words if len(line) == 2 and line[0] == "installed"})}


def ports(_name):
    """The TCP ports on which a process listens, by the kernel's tables."""
    found, tables = set(), 0
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path, encoding="ascii") as table:
                tables += 1
                rows = [line.split() for line in table.readlines()[1:]]
        except FileNotFoundError:
            continue
        found |= {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == LISTEN}
    if not tables:
        raise ValueError("the host has no /proc/net/tcp")
    return {"listening": sorted(found)}


def certificate_file(path):
    """The time until the first certificate in a file expires."""
    with open(path, "rb") as file:
        data = file.read(LARGEST)
    found = [base64.b64decode(text) for text in PEM.findall(data)]
    if not found:
        raise ValueError("the file has no certificate")
    return {"seconds_left": min(map(seconds_left, found))}


def certificate_of(address):
    """The time until the certificate that an address presents expires. Its signature is not verified."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as plain:
        with context.wrap_socket(plain, server_hostname=host) as secured:
            return {"seconds_left": seconds_left(secured.getpeercert(binary_form=True))}


def seconds_left(certificate):
    """The seconds until a certificate (DER) expires: RFC 5280, `Certificate.tbsCertificate.validity.notAfter`."""
    inside = element(element(certificate, 0)[1], 0)[1]
    at = 0
    if inside[:1] == b"\xa0":  # the version, which is left out in version 1
        at = element(inside, at)[2]
    for _part in ("serial number", "signature", "issuer"):
        at = element(inside, at)[2]
    validity = element(inside, at)[1]
    tag, text, _end = element(validity, element(validity, 0)[2])
    text = text.decode("ascii")
    if tag == 0x17:  # UTCTime: years from 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")) - int(time.time())


def element(data, at):
    """The tag and the content of the DER element at a place, and where the next one starts."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > len(data):
        raise ValueError("it is not a certificate")
    return tag, data[start : start + length], start + length


def endpoint(url):
    """Whether an endpoint is reached from the host. An HTTP status from 500 is a failure of the server."""
    if url.startswith("tcp://"):
        host, _, port = url[len("tcp://") :].rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT_S):
            return {"is_reached": True}
    try:
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    return {"is_reached": status < 500, "status": status}


def main():
    names = dict(type="list", elements="str", default=[])
    spec = {name: names for name in ("packages", "certificates", "addresses", "endpoints", "facts")}
    module = AnsibleModule(dict(spec, ports=dict(type="bool", default=False)), supports_check_mode=True)
    work = [("package", name, package) for name in module.params["packages"]]
    work += [("ports", "tcp", ports)] if module.params["ports"] else []
    work += [("certificate", path, certificate_file) for path in module.params["certificates"]]
    work += [("certificate", address, certificate_of) for address in module.params["addresses"]]
    work += [("endpoint", url, endpoint) for url in module.params["endpoints"]]
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        lines = list(pool.map(lambda each: measured(*each), work))
    module.exit_json(changed=False, stdout="\n".join(lines))


if __name__ == "__main__":
    main()
