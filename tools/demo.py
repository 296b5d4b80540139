"""Run the story of `make demo`, and serve its project. Usage: python -m tools.demo [--keep] [--serve] [--port N]."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tools.demo_served import PORT, ServedDemo
from tools.demo_story import BOLD, GREEN, PLAIN, RED, SHOP, Demo


def main() -> int:
    """Run the story; 0 if every command ended as expected."""
    parser = argparse.ArgumentParser(description="The story of `make demo`.")
    parser.add_argument("--keep", action="store_true", help="leave the shop running")
    parser.add_argument("--serve", action="store_true", help="serve the project with users and a calendar at the end")
    parser.add_argument("--port", type=int, default=PORT, help="the port of the server")
    chosen = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell ignores the first one for its background jobs
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-demo-")) / "shop"
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns(".orchestrator", "dist", "__pycache__"))
    demo, started = ServedDemo(folder) if chosen.serve else Demo(folder), time.monotonic()
    facts: list[str] = []
    code = 0
    try:
        demo.tell()
        facts = demo.facts()
        if isinstance(demo, ServedDemo):
            print_facts(facts)
            facts = []  # users change them from here on
            code = demo.serve(chosen.port)
    finally:
        took = time.monotonic() - started
        if not chosen.keep:
            demo.clean()
    print(
        f"\n{GREEN}✔{PLAIN} finished in {took:.0f} s" + ("" if chosen.keep else "; everything that it made is removed")
    )
    print_facts(facts)
    print_next(folder, kept=chosen.keep)
    for problem in demo.problems:
        print(f"{RED}✘{PLAIN} {problem}")
    return code or (1 if demo.problems else 0)


def print_facts(facts: list[str]) -> None:
    """How the story ended."""
    for fact in facts:
        print(f"  {BOLD}{fact}{PLAIN}")


def print_next(folder: Path, *, kept: bool) -> None:
    """What to try after the demo."""
    tried = f".venv/bin/orchestrator -C {folder}"
    print("\nWhat to try next:")
    for line in (
        (f"{tried} history", f"{tried} plan shop-1.2.0 --to production", f"{tried} status --watch")
        if kept
        else ("make demo KEEP=1", ".venv/bin/orchestrator init my-project", ".venv/bin/orchestrator doctor")
    ):
        print(f"  {line}")
    print(
        f"  {BOLD}make demo SERVE=1{PLAIN}    the same with users, approvals and a calendar, on the pages of a server"
    )


if __name__ == "__main__":
    sys.exit(main())
