"""Groups of commands, with the first sentence of each subcommand in their help."""

import click


class SubcommandGroup(click.Group):
    """A group that lists its subcommands as they are documented: in their order, with whole sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the subcommands, in the order of their definition."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The subcommands. Sentences are folded, and not cut as click does it."""
        del ctx
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(limit=1000)) for name, command in shown.items()])
