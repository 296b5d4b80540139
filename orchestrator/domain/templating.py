"""Texts that contain `{{ variable }}`, filled with what is known of a host.

This is not a template language: a name, with dots for what is below it, and nothing else. What comes from a release
package is taken literally; only the operator's own variables may name further ones.
"""

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Gate, Probe
from orchestrator.domain.inventory import Inventory, variables_of
from orchestrator.domain.release import Package
from orchestrator.domain.variables import Unsafe, base_vars

BRACES = re.compile(r"\{\{(.*?)\}\}")
NAME = re.compile(r"^[A-Za-z_]\w*(\.\w+)*$", re.ASCII)
WEB = re.compile(r"^https?://[^\s/?#\x00-\x1f]+[^\s\x00-\x1f]*$")
DEEPEST = 5  # variables that name variables


def filled(text: str, variables: Mapping[str, Any], deep: int = 0) -> str:
    """*text* with that variable for each `{{ name }}`. Raises V142 when one is not known, or is not a plain value."""

    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        if not NAME.match(name):
            raise OrchestratorError("V142", f"{found[0]!r} is not the name of a variable")
        item: Any = variables
        for part in name.split("."):
            item = item.get(part) if isinstance(item, Mapping) else None
        if isinstance(item, bool) or not isinstance(item, (str, int, float)):
            raise OrchestratorError("V142", f"there is no variable {name!r} with a plain value")
        if isinstance(item, str) and not isinstance(item, Unsafe) and "{{" in item:
            if deep == DEEPEST:
                raise OrchestratorError("V142", f"the variable {name!r} names itself")
            return filled(item, variables, deep + 1)
        return str(item)

    return BRACES.sub(value, text)


def url_filled(text: str, variables: Mapping[str, Any]) -> str:
    """*text* filled, as a URL. Raises V142 if that is not a URL; the message omits the value, which may be secret."""
    url = filled(text, variables)
    if not WEB.match(url):
        raise OrchestratorError("V142", f"{text!r} is not an http or https URL after its variables are filled in")
    return url


def known_variables(
    package: Package, inventory: Inventory, context: Context, host: str | None = None
) -> dict[str, Any]:
    """The variables that a text may name: the release's, the environment's, and those of *host* where there is one."""
    own = {"release_version": package.ref.version, "environment": context.environment}
    found = {**base_vars(package, None, context), **own}
    return {**found, **variables_of(inventory, host)} if host is not None else found


def check_renderable(check: Gate | Probe, package: Package, inventory: Inventory, context: Context) -> None:
    """Return when every text of *check* can be filled, for all hosts that it is for. Raises V142, naming the host."""
    plain = {**known_variables(package, inventory, context), "hosts": ""}
    if isinstance(check, Gate) and check.prometheus is not None:
        url_filled(check.prometheus.server, plain)
        filled(check.prometheus.query, plain)
    if isinstance(check, Probe) and check.service is not None:
        url_filled(check.service, plain)
    url = check.url if isinstance(check, Probe) else check.http.url if check.http is not None else None
    if url is None:
        return
    for host in _meant(check, inventory):
        variables = known_variables(package, inventory, context, host)
        try:
            url_filled(url, variables)
            if isinstance(check, Gate) and check.http is not None:
                filled(check.http.contains, variables)
        except OrchestratorError as error:
            raise OrchestratorError(error.code, f"{host}: {error.message}") from error


def _meant(check: Gate | Probe, inventory: Inventory) -> list[str]:
    """The hosts that *check* is for; none where its pattern means nothing here."""
    try:
        return inventory.select(check.hosts)
    except OrchestratorError:
        return []
