"""`orchestrator worker`: does what was left to the workers of a queue."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.output import json_option

if TYPE_CHECKING:
    from orchestrator.engine.worker import News


@click.command("worker")
@click.option("--queue", default="default", show_default=True, metavar="NAME", help="What is taken.")
@click.option(
    "--concurrency", type=click.IntRange(1), default=4, show_default=True, metavar="N", help="How many at once."
)
@click.option("--once", is_flag=True, help="End when there is nothing that can be taken now.")
@json_option
def command(queue: str, concurrency: int, once: bool, as_json: bool) -> int:
    """Take what `promote` and `rollback` with --queue have left to workers, oldest first, until it is stopped.

    Each promotion is done by a process of its own. One whose environment is busy is not taken, so that it keeps nobody
    else waiting. What a worker that died has left is taken over: at once on the same machine, and on another one when
    its claim has run out (30 seconds).

    Twice a minute it looks for what promotions made for themselves only (ephemeral environments) and is past its time,
    and has it destroyed.

    SIGTERM and SIGINT end it: nothing new is taken, what goes on stops before its next step, and waits for the next
    worker. Events are written to standard error; --json writes them to standard output, a line each.
    """
    from orchestrator.cli.attend import serve
    from orchestrator.cli.output import note, print_json_line
    from orchestrator.engine.worker import Rules
    from orchestrator.wiring import open_app

    def tell(news: "News") -> None:
        if as_json:
            data = {"what": news.what, "root": news.root, "process": news.process, "why": news.why}
            print_json_line("WorkerEvent", data)
        else:
            process = f"(process {news.process})" if news.process else ""
            note(" ".join(word for word in (news.what, news.root, process, news.why) if word))

    serve(open_app(Path.cwd()), Rules(queue, concurrency, once), tell)
    return 0
