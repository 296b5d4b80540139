"""`orchestrator hosts`: what loopback hosts need, and which of them there are."""

import click

from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import Cell, confirm, json_option, note, out, print_json, table, yes_option


@click.group("hosts", cls=SubcommandGroup)
def command() -> None:
    """Find or install the SSH server of loopback hosts, and list the hosts.

    A loopback host is an unprivileged SSH server on this machine, made by a Pulumi program through
    `orchestrator.hosts`.
    """


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the loopback hosts of this project, and whether each is running."""
    from pathlib import Path

    from orchestrator.app.opening import open_application

    hosts = open_application(Path.cwd()).loopback_hosts()
    if as_json:
        items = [
            {"name": h.name, "stack": h.stack, "address": h.address, "port": h.port, "alive": alive}
            for h, alive in hosts
        ]
        print_json("HostList", {"hosts": items})
    elif not hosts:
        out("there is no loopback host; orchestrator environment up ENV makes those of an environment")
    else:
        yes: Cell = ("alive", "green")
        rows = [[h.name, h.stack, f"{h.address}:{h.port}", yes if alive else ("gone", "red")] for h, alive in hosts]
        out(table(["host", "stack", "address", "state"], rows))


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """Show which SSH server would be used, and whether hosts are isolated from this machine."""
    from orchestrator.app.opening import this_machine

    servers = this_machine().ssh_servers
    path, isolated = servers.find(), servers.isolates()
    if as_json:
        print_json("Hosts", {"sshd": str(path), "isolated": isolated})
    else:
        out(f"sshd at {path}; hosts are {'isolated by bubblewrap' if isolated else 'not isolated'}")


@command.command("install")
@yes_option
def install(yes: bool) -> None:
    """Install an SSH server, unless one exists: the distribution's package, or without root its files in the cache.

    The files in the cache include a client, which plays and suites use if PATH has no ssh.
    The system's own SSH service is neither started nor enabled.
    """
    from orchestrator.app.opening import this_machine
    from orchestrator.domain.errors import OrchestratorError

    servers = this_machine().ssh_servers
    try:
        path = servers.find()
    except OrchestratorError:
        confirm("Install an SSH server?", yes)
        path = servers.install(note)
    out(f"sshd at {path}")
