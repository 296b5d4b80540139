"""The command line: a table of commands that are loaded when they are called, and one edge where errors are shown.

`--help`, `--version` and completion read the table only; no engine, model or YAML reader is imported for them.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from orchestrator import __version__
from orchestrator.cli import places, report

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: dict[str, dict[str, str]] = {
    "Releases": {
        "build": "Seal a release into one package file.",
        "package": "List, show, verify, remove and compare packages.",
        "plan": "Show what a promotion would do, as a document with a digest.",
        "promote": "Promote a release to an environment, or along its path.",
        "why": "Show every condition of a promotion: whether it may start, and why not.",
        "rehearse": "Promote a release, roll it back, and promote it again.",
        "rollback": "Roll an environment back to a verified release.",
        "resume": "Resume a run that was interrupted or paused.",
        "retry": "Retry a run that needs manual intervention, from one of its steps.",
        "cancel": "Stop a run before its next step, and roll back.",
        "abort": "Stop a run at once, and roll back.",
        "pause": "Pause a run before its next step.",
        "worker": "Run queued requests until stopped.",
        "serve": "Serve the dashboard and the API until stopped.",
    },
    "State and logs": {
        "status": "Show the release of every host.",
        "projects": "List the projects of a server: what is under way, waits and is due.",
        "matrix": "Show every release in every environment.",
        "history": "List the runs.",
        "show": "Show one run, step by step.",
        "watch": "Follow a run to its end.",
        "logs": "Print the log of a run's steps and hosts.",
    },
    "Environments": {
        "lock": "Lock an environment, or list locks and holders.",
        "unlock": "Remove the lock of an environment.",
        "queue": "Show the runs that wait for each environment.",
        "observe": "Inspect which release each host of an environment runs.",
        "drift": "Show what has changed in an environment since its last release.",
        "parity": "Show how two environments differ.",
        "requirements": "Measure what the hosts of an environment have of what a release requires.",
        "environment": "List, show, preview, update, override, resolve, destroy and reap environments.",
        "engine": "Find or install the Pulumi engine.",
        "hosts": "Find or install the SSH server of loopback hosts.",
    },
    "Approvals": {
        "approvals": "List the promotions that wait, or show one with its plan and votes.",
        "approve": "Vote for the plan of a promotion.",
        "reject": "Vote against the plan of a promotion, and end the request.",
        "withdraw": "Withdraw the request of a promotion, or a vote.",
        "raise-risk": "Set a higher level of risk for a promotion.",
    },
    "Release management": {
        "request": "Add, rank and decide change requests, the entries of the backlog.",
        "release": "Plan releases: their scope, phases and dates.",
        "implementation": "Start and carry out implementation plans: tasks with owners, an order and evidence.",
        "train": "Run release trains: packages that leave together and arrive together, or not at all.",
        "book": "Book an environment for a time and a purpose.",
        "bookings": "List the bookings of environments.",
        "booking": "Show, extend, hand over, end and cancel a booking.",
        "free": "List times at which an environment can be booked.",
        "contention": "Show the demand for each environment and week.",
        "review": "Review releases and rollbacks: facts, feedback, a close code.",
        "action": "Add, list and complete the actions of reviews.",
        "measures": "Print the five DORA measures, each with the runs behind it.",
        "report": "Write the measures with their trends as an HTML page.",
    },
    "Calendar": {
        "calendar": "List, add, remove, override, import and export windows, freezes and holidays.",
        "line": "Stop or resume all promotions to one or all environments.",
    },
    "Users and rights": {
        "people": "Add, list, show, edit and disable users, and reset passwords.",
        "group": "Add and remove groups of users, and edit their members.",
        "service-account": "Add, list and disable accounts of machines, and trust CI systems.",
        "away": "Record an absence and its deputy.",
        "access": "Show, grant, revoke and apply bindings of roles.",
        "can-i": "Show whether an actor may do something, and why.",
        "whoami": "Show the actor, how it was authenticated, and its roles.",
        "token": "Create, exchange, list, rotate and revoke tokens.",
        "hook": "Let Git servers and other systems build and promote releases.",
        "notifications": "Send notifications by webhooks, mail and chat.",
        "audit": "List, show, verify, explain and export the audit stream.",
    },
    "Project and machine": {
        "project": "Push the definition of a project to its server, and list, show and choose definitions.",
        "init": "Write a working project, or the missing files of yours.",
        "validate": "Check the files of a project or a release.",
        "schema": "Print the JSON Schema of a file, for editors.",
        "explain": "Explain an error code.",
        "keys": "Show or rotate the project key, which authenticates plans.",
        "backup": "Write the project's state into one file, also during runs.",
        "restore": "Restore the project's state from a backup, or an environment to an earlier time.",
        "store": "Rebuild the tables of the database that lists are read from.",
        "prune": "Remove what old runs have left in the state folder.",
        "doctor": "Check this machine and project, with a remedy for each problem.",
        "login": "Sign in to a server, and keep its address and token in a profile.",
        "logout": "Remove the profile of a server.",
        "completion": "Print the script that completes commands in your shell.",
    },
}
CHOSEN = "orchestrator.server"
"""Where the context of click has the options that choose a server."""
RENAMED = {"accept": "environment override"}
"""The commands that were renamed, each with its new name."""
NAMES = {name: words for section in COMMANDS.values() for name, words in section.items()}


class Table(click.Group):
    """A group that knows its commands by name, and imports one when it is called."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click's; a reader that goes away while help is written ends as everywhere else."""
        with report.detect_closed_pipe():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; likewise."""
        with report.detect_closed_pipe(), _chosen(ctx.meta.get(CHOSEN, {})):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, in the table's order."""
        del ctx
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported by this call; None if the table has no such name."""
        del ctx
        if cmd_name not in NAMES:
            return None
        command = import_module(f"orchestrator.cli.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest name when there is none of this one."""
        self._check_place(ctx, args)
        if args and args[0] not in NAMES and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            close = get_close_matches(args[0], NAMES, n=1)
            if args[0] in RENAMED:
                new = RENAMED[args[0]]
                raise report.UsageProblem(f"the command {args[0]!r} is now {new!r}", f"orchestrator {new} --help")
            hint = f"did you mean {close[0]!r}?" if close else "orchestrator --help lists the commands"
            raise report.UsageProblem(f"there is no command {args[0]!r}", hint)
        return super().resolve_command(ctx, args)

    def _check_place(self, ctx: click.Context, args: list[str]) -> None:
        """Raise N130 if a server is chosen and the command acts on this machine; its help is shown anyway."""
        names = [word for word in args[:2] if not word.startswith("-")]
        command = next((each for each in (" ".join(names), *names[:1]) if each in places.PLACES), None)
        if command is not None and not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            places.check_place(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, section by section."""
        del ctx
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Names and options that start with *incomplete*, without importing any command."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=words) for name, words in NAMES.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _go(ctx: click.Context, _parameter: click.Parameter, folder: str | None) -> None:
    if folder is not None and not ctx.resilient_parsing:
        os.chdir(folder)


def _no_color(ctx: click.Context, _parameter: click.Parameter, chosen: bool) -> None:
    if chosen and not ctx.resilient_parsing:
        os.environ["NO_COLOR"] = "1"  # the programs that we start, and the libraries that we use, read it as well


def _choose(ctx: click.Context, parameter: click.Parameter, given: str | None) -> None:
    """Note the option, by the variable that it replaces: it counts while the command runs."""
    if given is not None and not ctx.resilient_parsing:
        ctx.meta.setdefault(CHOSEN, {})[f"ORCHESTRATOR_{str(parameter.name).upper()}"] = given


@contextlib.contextmanager
def _chosen(options: dict[str, str]) -> Iterator[None]:
    """Set the variables of the *options* that choose a server. A chosen server replaces that of the other variable."""
    both = {places.SERVER, places.PROFILE}
    if both <= options.keys():
        hint = "a profile has the address of its server"
        raise report.UsageProblem("--server and --profile exclude each other", hint)
    changed: dict[str, str | None] = {**(dict.fromkeys(both) if both & options.keys() else {}), **options}
    before = {name: os.environ.get(name) for name in changed}
    try:
        _set_variables(changed)
        yield
    finally:
        _set_variables(before)


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@click.command(
    cls=Table,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 failed and nothing changed, 2 usage, 3 not allowed, 4 rolled back, "
    "5 needs intervention, 6 not found, 7 unexpected changes, 8 busy, 9 timeout, 70 internal error, "
    "130 interrupted.",
)
@click.option(
    "-C",
    "--directory",
    type=click.Path(exists=True, file_okay=False),
    callback=_go,
    expose_value=False,
    is_eager=True,
    help="Act as if started in this folder.",
)
@click.option(
    "--no-color", is_flag=True, callback=_no_color, expose_value=False, is_eager=True, help="Write without colours."
)
@click.option(
    "--server",
    metavar="URL",
    callback=_choose,
    expose_value=False,
    is_eager=True,
    help="Use the server with this URL (default: ORCHESTRATOR_SERVER, otherwise no server).",
)
@click.option(
    "--profile",
    metavar="NAME",
    callback=_choose,
    expose_value=False,
    is_eager=True,
    help="Use the server of this profile of `orchestrator login` (default: ORCHESTRATOR_PROFILE).",
)
@click.option(
    "--ca-cert",
    type=click.Path(exists=True, dir_okay=False),
    callback=_choose,
    expose_value=False,
    is_eager=True,
    help="Trust the certificates in this file for the server (default: ORCHESTRATOR_CA_CERT).",
)
@click.version_option(__version__, prog_name="orchestrator", message="%(prog)s %(version)s")
def cli() -> None:
    """Promote releases through environments: provision (Pulumi), deploy (Ansible), verify (testinfra), roll back."""


def run_and_end() -> NoReturn:
    """The console script: the command, and then the end of the process at once.

    All effects of the command are durable at this time. Waiting for the threads of an idle database, and shutting down
    the interpreter, would take half a second of every promotion.
    """
    code = main()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in *arguments* (by default those of the process), and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return report.run_guarded(lambda: cli.main(words, prog_name="orchestrator", standalone_mode=False), words)
