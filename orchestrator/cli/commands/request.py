"""`orchestrator request`: change requests, the entries of the backlog."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.cli import completing
from orchestrator.cli.change_requests import (
    HEADS,
    change_row,
    import_document,
    import_lines,
    move_line,
    print_change,
)
from orchestrator.cli.groups import SubcommandGroup
from orchestrator.cli.output import json_option, note, out, out_folded, page_options, print_json, screen, table
from orchestrator.cli.register_options import MOMENT, model_of

F = TypeVar("F", bound=Callable[..., Any])
STATES = ("draft", "assessing", "accepted", "rejected", "deferred", "planned", "released", "closed", "withdrawn")
SCALE = click.IntRange(1, 5)
DAY = click.DateTime(["%Y-%m-%d"])


@click.group("request", cls=SubcommandGroup)
def command() -> None:
    """Add, rank and decide change requests, the entries of the backlog.

    A change request states what is to change and why. It is assessed, accepted, and planned into a release. The request
    of one promotion is a run request: see `orchestrator approvals`.
    """


def request_argument(function: F) -> F:
    """The argument REQUEST, which arrives as *request*, with its completion."""
    argument = click.argument("request", metavar="REQUEST", shell_complete=completing.change_requests)
    return argument(function)


def reason_option(*, required: bool = False) -> Callable[[F], F]:
    """The option `--message`, which arrives as *message*."""
    help_ = "The reason, shown with the request."
    return click.option("-m", "--message", default="", metavar="WHY", required=required, help=help_)


def draft_options(function: F) -> F:
    """The options with the fields of a draft."""
    options = (
        click.option("--why", "reason", metavar="TEXT", help="The reason for the change."),
        click.option("--value", type=SCALE, help="The value, from 1 to 5 (default: 3).", metavar="N"),
        click.option("--urgency", type=SCALE, help="The urgency, from 1 to 5 (default: 3).", metavar="N"),
        click.option("--due", type=DAY, metavar="DATE", help="The date by which it is needed."),
        click.option("--package", "packages", multiple=True, metavar="NAME", help="A package. May be repeated."),
        click.option(
            "--environment", "environments", multiple=True, metavar="ENV", shell_complete=completing.environments,
            help="A target environment. May be repeated.",
        ),
        click.option("--link", "links", multiple=True, metavar="URL", help="A ticket or page. May be repeated."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """The *fields* that were given, as JSON data."""
    given = {name: value for name, value in fields.items() if value not in (None, ())}
    if isinstance(given.get("due"), datetime):
        given["due"] = given["due"].date().isoformat()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


@command.command("add")
@click.argument("title")
@draft_options
@click.option("--submit", is_flag=True, help="Have it assessed at once.")
@json_option
def add(title: str, submit: bool, as_json: bool, **fields: Any) -> None:
    """Add a draft with a TITLE, which states what is to change."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import add_change
    from orchestrator.management.change_requests.model import ChangeDraft

    draft = model_of(ChangeDraft, title=title, **_given(fields))
    app = open_managed(Path.cwd())
    print_change(add_change(app.acting, draft, app.change_sources, submit=submit), as_json=as_json)


@command.command("edit")
@request_argument
@click.option("--title", metavar="TEXT", help="What is to change.")
@draft_options
@json_option
def edit(request: str, as_json: bool, **fields: Any) -> None:
    """Change the draft REQUEST. Lists are replaced."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import edit_change
    from orchestrator.management.change_requests.model import ChangeDraft

    given = _given(fields)
    if not given:
        raise click.UsageError("give at least one field to change, for example --value 4")
    model_of(ChangeDraft, **{"title": "any", **given})
    app = open_managed(Path.cwd())
    print_change(edit_change(app.acting, request, given, app.change_sources), as_json=as_json)


@command.command("submit")
@request_argument
@json_option
def submit(request: str, as_json: bool) -> None:
    """Have the draft REQUEST assessed. Its checks run again until all of them hold."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import submit_change

    app = open_managed(Path.cwd())
    print_change(submit_change(app.acting, request, app.change_sources), as_json=as_json)


@command.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    metavar="STATE",
    help="Only in this state, such as accepted. May be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Include requests that have ended.")
@page_options("requests")
@json_option
def show_all(states: tuple[str, ...], everything: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List change requests, the highest rank first. A `*` marks a rank that was set by hand."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.queries import list_changes
    from orchestrator.management.change_requests.state import OPEN_STATES, ChangeState
    from orchestrator.management.documents import change_item

    chosen = tuple(ChangeState(state) for state in states) or (tuple(ChangeState) if everything else OPEN_STATES)
    page = list_changes(open_managed(Path.cwd()).acting, chosen, cursor, limit)
    if as_json:
        print_json("ChangeRequests", {"requests": [change_item(each) for each in page.items], "cursor": page.cursor})
        return
    if not page.items:
        out("there are no such change requests; add one with: orchestrator request add TITLE")
        return
    out(table(HEADS, [change_row(request) for request in page.items], screen()))
    if page.cursor:
        note(f"more: orchestrator request list --cursor '{page.cursor}'")


@command.command("show")
@request_argument
@json_option
def show(request: str, as_json: bool) -> None:
    """Show REQUEST with the arithmetic of its rank, its risk, and the checks of its assessment."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.queries import show_change

    app = open_managed(Path.cwd())
    shown = show_change(app.acting, request, app.change_sources)
    hint = (
        f"  now      risk {shown.now.arithmetic}; a worker or `orchestrator request rank --refresh` computes it again"
    )
    print_change(shown.request, as_json=as_json, note=hint if shown.is_stale else "")


@command.command("rank")
@click.argument("request", required=False, metavar="[REQUEST]", shell_complete=completing.change_requests)
@click.option("--set", "rank", type=click.FloatRange(0, 10), metavar="RANK", help="Set the rank of REQUEST by hand.")
@click.option("--clear", is_flag=True, help="Let the formula count for REQUEST again.")
@click.option("--refresh", is_flag=True, help="Compute every rank again by the current facts.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Show what moved since then (default: one day ago).")
@reason_option()
@page_options("requests", 200)
@json_option
def rank_(
    request: str | None,
    rank: float | None,
    clear: bool,
    refresh: bool,
    since: datetime | None,
    message: str,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """Show the ranking with its arithmetic and what moved, or set the rank of REQUEST by hand.

    The rank is value × (1 + urgency/5) / (1 + risk/5). The risk is computed from the journal: rollbacks of the
    packages, rehearsed rollbacks and drift. A worker computes it again when these facts change.
    """
    if request is None and (rank is not None or clear):
        raise click.UsageError("name the request whose rank is set")
    if request is not None:
        _set_rank(request, rank, clear=clear, message=message, as_json=as_json)
        return
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.duties import recompute_ranks
    from orchestrator.management.change_requests.queries import show_ranking
    from orchestrator.management.documents import ranking_data

    app = open_managed(Path.cwd())
    if refresh:
        recompute_ranks(app.acting, app.change_sources)
    found = show_ranking(app.acting, since, cursor, limit)
    if as_json:
        print_json("ChangeRanking", ranking_data(found))
        return
    _print_ranking(found)
    if found.cursor:
        note(f"more: orchestrator request rank --cursor '{found.cursor}'")


def _print_ranking(found: Any) -> None:
    from orchestrator.domain.moments import minute_text

    if not found.requests:
        out("there are no open change requests; add one with: orchestrator request add TITLE")
        return
    rows = [
        [f"{place}", r.id, f"{r.rank:.2f}", r.title, r.arithmetic]
        for place, r in enumerate(found.requests, found.first)
    ]
    out(table(["place", "request", "rank", "title", "arithmetic"], rows))
    out("")
    out(
        f"moved since {minute_text(found.since)}:" if found.moved else f"nothing moved since {minute_text(found.since)}"
    )
    for move in found.moved:
        out_folded(f"  {move_line(move)}")


def _set_rank(request: str, rank: float | None, *, clear: bool, message: str, as_json: bool) -> None:
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import override_rank

    if clear == (rank is not None):
        raise click.UsageError("give either --set RANK or --clear")
    if rank is not None and not message.strip():
        raise click.UsageError("give the reason with -m: it is shown with the rank")
    done = override_rank(open_managed(Path.cwd()).acting, request, rank, message.strip())
    print_change(done, as_json=as_json)


@command.command("accept")
@request_argument
@reason_option()
@json_option
def accept(request: str, message: str, as_json: bool) -> None:
    """Accept REQUEST. Every check of its assessment must hold."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import accept_change

    app = open_managed(Path.cwd())
    print_change(accept_change(app.acting, request, app.change_sources, message.strip()), as_json=as_json)


@command.command("reject")
@request_argument
@reason_option(required=True)
@json_option
def reject(request: str, message: str, as_json: bool) -> None:
    """Reject REQUEST, which ends it."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import reject_change

    print_change(reject_change(open_managed(Path.cwd()).acting, request, message.strip()), as_json=as_json)


@command.command("defer")
@request_argument
@click.option(
    "--until", type=MOMENT, metavar="TIME", help="Assess it again at this time (default: when it is reopened)."
)
@reason_option(required=True)
@json_option
def defer(request: str, until: datetime | None, message: str, as_json: bool) -> None:
    """Defer REQUEST to a later time."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import defer_change

    print_change(defer_change(open_managed(Path.cwd()).acting, request, message.strip(), until), as_json=as_json)


@command.command("reopen")
@request_argument
@reason_option()
@json_option
def reopen(request: str, message: str, as_json: bool) -> None:
    """Assess the deferred REQUEST again."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import reopen_change

    app = open_managed(Path.cwd())
    print_change(reopen_change(app.acting, request, app.change_sources, message.strip()), as_json=as_json)


@command.command("revise")
@request_argument
@reason_option()
@json_option
def revise(request: str, message: str, as_json: bool) -> None:
    """Make REQUEST, which is assessed, a draft again, to correct it."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import revise_change

    print_change(revise_change(open_managed(Path.cwd()).acting, request, message.strip()), as_json=as_json)


@command.command("withdraw")
@request_argument
@reason_option()
@json_option
def withdraw(request: str, message: str, as_json: bool) -> None:
    """Withdraw REQUEST, which ends it. A request that is in a release is removed from it first."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import withdraw_change

    print_change(withdraw_change(open_managed(Path.cwd()).acting, request, message.strip()), as_json=as_json)


@command.command("close")
@request_argument
@reason_option()
@json_option
def close(request: str, message: str, as_json: bool) -> None:
    """Close REQUEST after it was released."""
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.decisions import close_change

    print_change(close_change(open_managed(Path.cwd()).acting, request, message.strip()), as_json=as_json)


@command.command("import")
@click.option("--git", is_flag=True, help="Import the commits since the release in the environment.")
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="Import from this file.")
@click.option("--to", "environment", metavar="ENV", shell_complete=completing.environments,
              help="The target environment (default: the last one of the path).")  # fmt: skip
@click.option("--from", "base", default="", metavar="COMMIT", help="Import the commits after this one.")
@click.option("--package", "packages", multiple=True, metavar="NAME",
              help="A package that the commits change (default: their scope). May be repeated.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the changes, and change nothing.")
@json_option
def import_(
    git: bool,
    file: Path | None,
    environment: str | None,
    base: str,
    packages: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import drafts from Git or from a file. The same import again changes nothing.

    With --git, each commit in the form of Conventional Commits that changes something for users becomes a draft:
    `feat`, `fix`, `perf`, `revert`, `security`, and breaking changes. The `git` program reads the repository of the
    project; with --server, the clone in the current folder.
    """
    from orchestrator.management.application import open_managed
    from orchestrator.management.change_requests.commit_import import CommitImport, read_commits
    from orchestrator.management.change_requests.decisions import import_changes
    from orchestrator.management.change_requests.imports import of_file
    from orchestrator.management.change_requests.queries import import_start, preview_changes

    if git == (file is not None):
        raise click.UsageError("give either --git or --file FILE")
    app = open_managed(Path.cwd())
    acting, sources = app.acting, app.change_sources
    if file is not None:
        read = CommitImport(of_file(app.import_files.read_file(file)))
    else:
        start = import_start(acting, sources, environment or acting.environments[-1], base)
        read = read_commits(app.import_files, start, packages)
        note(f"commits since {read.start}")
    drafts = read.incoming
    found = preview_changes(acting, drafts) if dry_run else import_changes(acting, drafts, sources)
    if as_json:
        print_json("ChangeImport", import_document(found, read.skipped, read.start, imported=not dry_run))
        return
    lines = [*import_lines(found), *(f"skip {each.source_ref} '{each.title}': {each.why}" for each in read.skipped)]
    for line in lines or ["there is nothing to import"]:
        out_folded(line)
    if dry_run:
        out("nothing was imported (--dry-run)")
