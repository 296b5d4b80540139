"""The second half of `make demo SERVE=1`: three users, approvals, a calendar, a plan, and the server with all of it."""

import getpass
import http.server
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tools.demo_story import BOLD, DIM, GREEN, PLAIN, Demo

PLAN = Path(__file__).resolve().parent.parent / "examples" / "implementation-plan" / "implementation"
PORT = 8750
USERS = {
    "ada": ("release-manager", "plans releases, requests and promotes"),
    "ben": ("approver", "approves promotions into production"),
    "cora": ("operator", "watches, and rolls back"),
}
ADMINISTRATOR = "admin"
START_S = 120
CLICKS = (
    ("ben", "Home shows a promotion that waits for you. Read its plan, and approve it: a worker executes it at once."),
    (
        "ada",
        "What runs where and the page of the run show it live. The calendar has a freeze, a booking and a release.",
    ),
    (
        "ada",
        "Reviews has the release that was rolled back, with its facts and an action. Change requests is the backlog.",
    ),
    ("cora", "Home has a task of the launch. The page of production rolls the shop back with one button."),
    (ADMINISTRATOR, "Users shows the rights of each user. Audit lists who did what, and what was refused."),
)


class Receiver(http.server.BaseHTTPRequestHandler):
    """The receiver of a webhook on this machine, which accepts every notification."""

    def do_POST(self) -> None:
        """Read the request, and accept it."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is that of the base class
        """Print nothing."""


def at(days: float, hour: int) -> str:
    """The time at *hour* in a number of days from now, in UTC, without a zone."""
    return f"{(datetime.now(UTC) + timedelta(days=days)).replace(hour=hour, minute=0):%Y-%m-%dT%H:%M}"


class ServedDemo(Demo):
    """The story of the demo, and what a server shows of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tokens: dict[str, str] = {}
        self.receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.receiver.serve_forever, daemon=True).start()

    def tell(self) -> None:
        """The story, and then what users plan next."""
        super().tell()
        self.users()
        self.approval()
        self.schedule()
        self.backlog()
        self.planned_release()
        self.review()
        self.measures()

    def users(self) -> None:
        """Three users with a role each, and an administrator who is the user of this machine."""
        self.say("Three users share the project. From now on each has the rights of a role.")
        self.run(f"orchestrator people add {ADMINISTRATOR} --local {shlex.quote(getpass.getuser())}")
        self.run(f"orchestrator access grant administrator user:{ADMINISTRATOR}")
        for name, (role, _) in USERS.items():
            self.run(f"orchestrator people add {name}")
            self.run(f"orchestrator access grant {role} user:{name}")
        self.run(
            f"orchestrator notifications rule add releases --webhook http://127.0.0.1:{self.receiver.server_port}/ "
            "--allow-private"
        )
        words = ["orchestrator", "token", "create", "--for", "ada", "--lifetime", "1d"]
        made = subprocess.run(words, cwd=self.folder, env=self.env, capture_output=True, text=True, check=True)
        self.say("The following commands are those of ada, with a token in ORCHESTRATOR_TOKEN.")
        self.env["ORCHESTRATOR_TOKEN"] = made.stdout.strip()

    def approval(self) -> None:
        """A corrected release in staging, whose promotion into production waits for a vote."""
        self.say("Production needs the approval of a second user. Release 1.2.1 reads a tax with a comma.")
        file = self.folder / "environments" / "production" / "environment.yaml"
        self.show(f"echo 'approvals: {{count: 1}}' >> {file.relative_to(self.folder)}")
        file.write_text(file.read_text("utf-8") + "approvals: {count: 1}\n", "utf-8")
        self.run("python app/build.py 1.2.1")
        self.run("orchestrator build releases/1.2.1")
        self.run("orchestrator promote shop-1.2.1 --to staging")
        self.run("orchestrator promote shop-1.2.1 --to production")

    def schedule(self) -> None:
        """A freeze, a booking, and a train line with a train that has a package aboard."""
        self.say("The calendar: a freeze of production, a booking of staging, and a weekly train.")
        self.run(
            f"orchestrator calendar add hard-freeze Stocktaking --start {at(5, 18)} --end {at(7, 6)} --zone UTC "
            "--environment production -m 'the shops count their goods'"
        )
        self.run(f"orchestrator book staging --from {at(2, 8)}Z --for 4h --purpose 'load test of 1.3.0'")
        self.run(
            f"orchestrator train line add weekly --stop staging --stop production+2h --start {at(8, 10)} "
            "--rule FREQ=WEEKLY --zone UTC --boarding 4h"
        )
        self.run("orchestrator train create weekly")
        self.run("orchestrator train board T-1 shop-1.2.1")

    def backlog(self) -> None:
        """Change requests: one that is accepted, one that is assessed, and a draft."""
        self.say("The backlog has three change requests, and one is accepted.")
        add = "orchestrator request add"
        into = "--package shop --environment production"
        self.run(f"{add} 'Sell gift cards by mail' --why 'Asked for by three customers' --value 4 {into} --submit")
        self.run("orchestrator request accept R-1 -m 'worth it'")
        self.run(f"{add} 'Prices in two currencies' --why 'Asked for by the shop in Basel' --value 3 {into} --submit")
        self.run(f"{add} 'Free delivery on Sundays' --value 2 {into}")

    def planned_release(self) -> None:
        """A release with dates, and its implementation plan."""
        self.say("Release 1.3.0 has dates, and a plan with tasks for users and for workers.")
        self.run(
            f"orchestrator release plan Advent --to production --freeze {at(9, 12)}Z --release-at {at(11, 20)}Z "
            "--request R-1 --package shop-1.3.0 --role tester=cora"
        )
        self.run("orchestrator release phase REL-1 test --environment staging --responsible cora")
        self.run("orchestrator release confirm REL-1")
        self.run("orchestrator release notes REL-1")
        shutil.copytree(PLAN, self.folder / "implementation")
        self.run("orchestrator implementation start launch --parameter version=1.3.0 --release REL-1")
        self.run("orchestrator implementation replan IP-1 announce --owner cora -m 'she knows the shops'")

    def review(self) -> None:
        """The review of the release that was rolled back, with an action."""
        self.say("The rollback has a review, with an action for ada.")
        runs = self.json("orchestrator history production --json")["runs"]
        failed = next(run["id"] for run in runs if run["state"] == "rolled back")
        self.run(f"orchestrator review open {failed}")
        self.run(
            f"orchestrator action add {failed} 'Test a tax with a comma in staging' --owner ada --due {at(7, 12)}Z"
        )

    def measures(self) -> None:
        """A report of the measures, as a file."""
        self.say("The measures of all this, with plots, in a file that a browser opens without a server.")
        self.run("orchestrator report --out measures.html")

    def serve(self, port: int) -> int:
        """Serve the project at a free port, *port* if it is free, until Ctrl-C; 0 if the server ended as expected."""
        del self.env["ORCHESTRATOR_TOKEN"]
        port = free_port(port)
        address = f"http://127.0.0.1:{port}"
        self.show(f"orchestrator serve --port {port}")
        words = ["orchestrator", "serve", "--port", str(port)]
        # In a session of its own: a second Ctrl-C would end it before it has stopped its worker.
        with subprocess.Popen(words, cwd=self.folder, env=self.env, start_new_session=True) as server:
            try:
                await_server(server, f"{address}/readyz")
                self.links(address)
                server.wait()
            except KeyboardInterrupt:
                self.say("The server stops.")
            finally:
                if server.poll() is None:
                    server.send_signal(signal.SIGINT)
        return server.returncode

    def links(self, address: str) -> None:
        """Print a link for each user, and what to look at."""
        about = {name: f"{role}, {what}" for name, (role, what) in USERS.items()}
        about[ADMINISTRATOR] = "administrator, manages users and rights"
        made = {name: self.json(f"orchestrator people reset-password {name} --json")["path"] for name in about}
        print(f"\n{GREEN}✔{PLAIN} The server is at {BOLD}{address}{PLAIN}. Each link works once, within an hour:\n")
        for name, what in about.items():
            print(f"  {BOLD}{name}{PLAIN} ({what})\n    {address}{made[name]}")
        print(f"\n{DIM}Use a private window for each user, or sign out between them.{PLAIN} Five things to try:\n")
        for number, (name, what) in enumerate(CLICKS, 1):
            print(f"  {number}. {BOLD}{name}{PLAIN}: {what}")
        print("\nCtrl-C stops the server, and removes everything that the demo made.", flush=True)


def free_port(wanted: int) -> int:
    """*wanted*, or another port if it is in use."""
    for port in (wanted, 0):
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(found.getsockname()[1])
    raise SystemExit("no port of 127.0.0.1 is free")


def await_server(server: "subprocess.Popen[bytes]", address: str) -> None:
    """Return when the server responds at *address*, and its worker runs."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                if b'"worker":true' in response.read().replace(b" ", b""):
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("the server has not started")
