"""The story of `make demo`: two good releases, and a bad one that is rolled back automatically.

Everything is real: the Pulumi engine, SSH servers on this machine, Ansible, testinfra. What is printed after `$` is
what is run.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SHOP = Path(__file__).resolve().parent.parent / "examples" / "shop"
BOLD, DIM, GREEN, RED, PLAIN = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m")
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    else ("", "", "", "", "")
)


class Demo:
    """The story, in a copy of the shop's project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {"VIRTUAL_ENV", "ORCHESTRATOR_STATE", "ORCHESTRATOR_STORE"}
        self.env = {name: value for name, value in os.environ.items() if name not in kept}
        self.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), self.env.get("PATH", os.defpath)])
        self.problems: list[str] = []

    def tell(self) -> None:
        """All of it, in order."""
        self.say("A small web shop for two staging and four production hosts.")
        self.show(f"cd {shlex.quote(str(self.folder))}")
        self.show(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
        self.run("python app/build.py 1.0.0 1.1.0 1.2.0")
        self.run("orchestrator validate")
        self.say("Release 1.0.0: build a sealed package, and promote it through staging to production.")
        self.release("1.0.0", 0)
        self.say("Release 1.1.0: the same.")
        self.release("1.1.0", 0)
        self.say("A customer places an order. The order must survive every later step.")
        self.order()
        self.say(
            "Release 1.2.0 computes prices with tax. It passes in staging, and fails on the oldest production host."
        )
        self.release("1.2.0", 4)
        self.say("The state of each host:")
        self.run("orchestrator status production")
        self.run("orchestrator matrix")
        self.check()

    def release(self, version: str, expected: int) -> None:
        """Build and promote one release."""
        self.run(f"orchestrator build releases/{version}")
        self.run(f"orchestrator promote dist/shop-{version}.release", expected)

    def order(self) -> None:
        """Post an order to every production host."""
        self.run(f"python app/customer.py order kettle {' '.join(self.urls())}")

    def check(self) -> None:
        """See with our own eyes that the old release serves, with its data."""
        for line in self.ask(f"python app/customer.py look {' '.join(self.urls())}"):
            if "version 1.1.0," not in line or "kettle" not in line:
                self.problems.append(f"unexpected response: {line}")

    def facts(self) -> list[str]:
        """The story's end, from the journal and not from what we hope."""
        status = self.json("orchestrator status production --json")["environments"][0]
        last = self.json(f"orchestrator show {status['last_run']['id']} --json")
        hosts = ", ".join(f"{item['host']} {item['release']['version']}" for item in status["hosts"])
        versions = {item["release"]["version"] for item in status["hosts"]}
        ended = last["run"]["state"]
        if versions != {"1.1.0"} or ended != "rolled back":
            self.problems.append(f"production runs {hosts}, and the last promotion {ended}")
        return [
            f"production:  {hosts}",
            f"shop 1.2.0:  {ended} automatically in production",
            f"recovery:    {last['recovery_seconds']:.1f} s from the failure to the verified old release",
        ]

    def urls(self) -> list[str]:
        """Where the shop answers on each production host."""
        found = self.json("orchestrator environment inventory production --show-variables --json")["hosts"]
        return [f"http://{item['ansible_host']}:{item['app_port']}" for item in found.values()]

    def json(self, command: str) -> Any:
        """The JSON document that a command prints."""
        done = subprocess.run(
            shlex.split(command), cwd=self.folder, env=self.env, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    def run(self, command: str, expected: int = 0) -> None:
        """Show a command, run it, and check that it ends with the *expected* exit code."""
        self.show(command)
        code = subprocess.run(shlex.split(command), cwd=self.folder, env=self.env, check=False).returncode
        if code != expected:
            raise SystemExit(f"{RED}✘{PLAIN} `{command}` ended with {code} and not with {expected}")
        if expected:
            self.say(f"(exit status {code})", dim=True)

    def ask(self, command: str) -> list[str]:
        """Show a command, run it, and show what it answers; the lines of that."""
        self.show(command)
        words = shlex.split(command)
        done = subprocess.run(words, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True, check=True)
        self.say(done.stdout.rstrip(), dim=True)
        return done.stdout.splitlines()

    def show(self, command: str) -> None:
        """A command as it can be typed, or copied."""
        print(f"\n{BOLD}$ {command}{PLAIN}", flush=True)

    def say(self, text: str, *, dim: bool = False) -> None:
        """One sentence."""
        print(f"{DIM}{text}{PLAIN}" if dim else f"\n{BOLD}{text}{PLAIN}", flush=True)

    def clean(self) -> None:
        """Destroy what was made; the last resort goes by what is recorded, and not by name."""
        for environment in ("production", "staging"):
            subprocess.run(
                ["orchestrator", "environment", "destroy", environment, "--yes"],
                cwd=self.folder,
                env=self.env,
                capture_output=True,
                check=False,
            )
        from orchestrator.hosts import loopback

        os.environ["ORCHESTRATOR_STATE"] = str(self.folder / ".orchestrator")
        for host in loopback.recorded(self.folder / ".orchestrator"):
            loopback.remove_host(host)
        shutil.rmtree(self.folder.parent)
