"""`orchestrator completion`: the script that completes commands in a shell."""

import click

from orchestrator.cli.output import out


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands in a shell.

    \b
    bash:  orchestrator completion bash > \\
             ~/.local/share/bash-completion/completions/orchestrator
    zsh:   orchestrator completion zsh > "${fpath[1]}/_orchestrator"
    fish:  orchestrator completion fish > \\
             ~/.config/fish/completions/orchestrator.fish
    """  # noqa: D301 click prints what follows \b as it is
    from click.shell_completion import get_completion_class

    from orchestrator.cli import cli

    chosen = get_completion_class(shell)
    assert chosen is not None
    out(chosen(cli, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE").source())
