"""The embedded default: hosts on this machine, created, inspected and destroyed by Pulumi as its resources.

In a Pulumi program:

    from orchestrator.hosts import LoopbackHost, inventory
    web = [LoopbackHost(f"web{number}") for number in (1, 2)]
    pulumi.export("ansible_inventory", inventory(web=web))
"""

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from orchestrator.domain.error_codes import LOOPBACK_ADDRESS_INVALID


class _Provider(ResourceProvider):
    """Thin: what it does is in `loopback`, which it imports where it runs, so that little is kept in the state."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report a name or an address that is not possible, so that the preview fails already."""
        from orchestrator.domain.errors import OrchestratorError
        from orchestrator.hosts import loopback

        try:
            loopback.check(news["host"], news.get("address"), _port(news))
        except OrchestratorError as error:
            return CheckResult(
                news, [CheckFailure("address" if error.code == LOOPBACK_ADDRESS_INVALID else "name", str(error))]
            )
        return CheckResult(news, [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        from orchestrator.hosts import loopback

        host = loopback.start(props["stack"], props["host"], address=props.get("address"), port=_port(props))
        variables = {**host.variables(), **(props.get("own") or {})}
        return CreateResult(f"{props['stack']}/{props['host']}", {**props, "variables": variables})

    def diff(self, _id: str, old: dict[str, Any], new: dict[str, Any]) -> DiffResult:
        """A host that has gone away is a change as well: the next update starts it again."""
        from orchestrator.hosts import loopback

        moved = [name for name in ("stack", "host", "address", "port") if old.get(name) != new.get(name)]
        host = loopback.find_host(new["stack"], new["host"])
        gone = host is None or not loopback.alive(host)
        other = old.get("own") != new.get("own")
        return DiffResult(changes=bool(moved) or gone or other, replaces=moved, delete_before_replace=True)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Is it really there? A refresh forgets a host that is not."""
        from orchestrator.hosts import loopback

        host = loopback.find_host(props["stack"], props["host"])
        return ReadResult(id_, props) if host is not None and loopback.alive(host) else ReadResult(None, {})

    def update(self, _id: str, _old: dict[str, Any], new: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self.create(new).outs)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        from orchestrator.hosts import loopback

        host = loopback.find_host(props["stack"], props["host"])
        if host is not None:
            loopback.remove_host(host)


def _port(props: dict[str, Any]) -> int | None:
    """The requested port: Pulumi's numbers are floats, and a value that is None is left out."""
    return int(props["port"]) if props.get("port") is not None else None


class LoopbackHost(Resource):
    """A host on this machine, reached by SSH.

    Args:
        name: its name in the inventory.
        address: an address of 127.0.0.0/8; by default one of its own is chosen, and stays.
        port: the port of its SSH server; 2222 by default.
        variables: more inventory variables of this host.
        opts: Pulumi's resource options.
    """

    variables: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        *,
        address: str | None = None,
        port: int | None = None,
        variables: dict[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        stack = f"{pulumi.get_project()}-{pulumi.get_stack()}"
        wanted = {"stack": stack, "host": name, "address": address, "port": port, "own": variables or {}}
        props = {**wanted, "variables": None}
        super().__init__(_Provider(), name, props, opts)
        self.host_name = name


def inventory(
    variables: dict[str, Any] | None = None, **groups: Sequence[LoopbackHost]
) -> "pulumi.Output[dict[str, Any]]":
    """An Ansible inventory of *groups* of hosts, with *variables* for all of them, as a stack's output."""

    def shape(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        children = {
            group: {"hosts": {host.host_name: found[group][at] for at, host in enumerate(hosts)}}
            for group, hosts in groups.items()
        }
        return {"all": {"children": children, "vars": variables or {}}}

    gathered = {group: pulumi.Output.all(*(host.variables for host in hosts)) for group, hosts in groups.items()}
    return pulumi.Output.all(**gathered).apply(shape)
