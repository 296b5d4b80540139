"""The files for the operation of servers that ship as examples: units of systemd, alerts, and a container file."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import debian
from tests.cli.memory_project import MemoryProject, project
from tests.server.pair import wait_for
from tests.server.site import Site
from tests.server.test_process import ENVIRONMENT, PROJECT, free_port
from tools.debian_programs import PROGRAMS

__all__ = ["project"]  # the fixture
ROOT = Path(__file__).parents[2]
SERVER, WORKERS = ROOT / "examples" / "server", ROOT / "examples" / "workers"
UNITS = {
    "orchestrator.service": SERVER / "orchestrator.service",
    "orchestrator-worker@default.service": WORKERS / "orchestrator-worker@.service",
}
SUITE = "bookworm"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
USER = 10001


def verified(folder: Path, name: str, text: str) -> str:
    """What `systemd-analyze verify` prints of the unit *name* with *text*: nothing if it is right."""
    template = re.sub(r"@.*\.", "@.", name)
    (folder / template).write_text(text.replace("/opt/orchestrator/bin/orchestrator", sys.executable))
    done = debian.run("systemd-analyze", "verify", "--man=no", folder / name)
    return f"{done.stdout}{done.stderr}" or ("" if done.returncode == 0 else f"exit status {done.returncode}")


@pytest.mark.parametrize("name", UNITS)
def test_the_units_are_right(name: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say of the units, and names a setting that does not exist."""
    text = UNITS[name].read_text()
    assert verified(tmp_path, name, text) == ""
    assert "Restrat" in verified(tmp_path, name, text.replace("Restart=", "Restrat="))


def test_the_commands_of_the_units_are_understood() -> None:
    """Each command of the units and of the container file has options that exist."""
    words = [
        line.split()[1:] for file in UNITS.values() for line in file.read_text().splitlines() if "ExecStart=" in line
    ]
    told = instructions((SERVER / "Containerfile").read_text())
    words.append(json.loads(told["ENTRYPOINT"][0])[3:] + json.loads(told["CMD"][0]))
    assert len(words) == 3
    for given in words:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *given, "--help"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr


def test_the_alerts_are_right(project: MemoryProject) -> None:
    """`promtool` accepts the alerts, and the server has each figure that they name, with its labels."""
    done = debian.run("promtool", "check", "rules", SERVER / "alerts.yml")
    assert (done.returncode, "9 rules found" in done.stdout) == (0, True), done.stderr
    project.go("staging", "1.0.0")
    text = Site(project).user("ann", "viewer").get("/metrics").text
    figures = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    named = set(re.findall(r"\borchestrator_\w+", (SERVER / "alerts.yml").read_text()))
    assert named <= figures, named - figures
    assert 'orchestrator_runs{kind="promotion",state="succeeded"} 1' in text
    assert 'orchestrator_queue_wait_seconds{environment="staging"} 0' in text
    path, environ = debian.command("promtool")
    checked = subprocess.run(
        [path, "check", "metrics"], input=text, env=environ, capture_output=True, text=True, check=False
    )
    assert "error" not in checked.stderr.lower(), checked.stderr


def instructions(text: str) -> dict[str, list[str]]:
    """The instructions of a container file by their names, in order."""
    found: dict[str, list[str]] = {}
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in plain.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name:
            found.setdefault(name, []).append(rest.strip())
    return found


class Image:
    """A root file system of Debian's packages, in which the steps of a container file are executed."""

    def __init__(self, folder: Path, context: Path) -> None:
        self.root, self._context = folder / "root", context
        self.variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.user, self.place = "root", "/"
        self.root.mkdir()
        subprocess.run(["tar", "-xf", str(base_archive()), "-C", str(self.root)], check=True)

    def build(self, text: str) -> None:
        """Execute each instruction of *text* in its order."""
        plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        for line in plain.replace("\\\n", " ").splitlines():
            name, _, rest = line.strip().partition(" ")
            getattr(self, f"_{name.lower()}", lambda _rest: None)(rest.strip())

    def command(self, words: list[str], *binds: str) -> list[str]:
        """The command that executes *words* in the root file system as the current user."""
        program, _ = debian.command("bwrap")
        variables = [word for item in self.variables.items() for word in ("--setenv", *item)]
        certificates = ["--ro-bind", str(CERTIFICATES), "/run/certificates"] if CERTIFICATES.exists() else []
        user = (
            [] if self.user == "root" else ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        )
        return [
            program, "--bind", str(self.root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", "--perms", "1777", "--tmpfs", "/tmp",
            "--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf", *certificates, *binds, "--unshare-pid", "--unshare-ipc",
            "--die-with-parent", "--clearenv", *variables, "--chdir", self.place, *user, *words,
        ]  # fmt: skip

    def _run(self, rest: str) -> None:
        words = ["env", "PIP_CERT=/run/certificates", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", rest]
        done = subprocess.run(self.command(words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{rest}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    def _copy(self, rest: str) -> None:
        source, target = rest.split()
        folder = self.root / target.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        files = list(self._context.glob(source))
        assert files, f"{source} matches no file"
        for file in files:
            shutil.copy(file, folder)

    def _env(self, rest: str) -> None:
        self.variables |= dict(word.split("=", 1) for word in shlex.split(rest))

    def _user(self, rest: str) -> None:
        self.user = rest

    def _workdir(self, rest: str) -> None:
        self.place = rest


def base_archive() -> Path:
    """The root file system of Debian as an archive, which is made once and kept in the cache."""
    kept = PROGRAMS["mmdebstrap"].folder.parent / f"root-{SUITE}.tar"
    if not kept.exists():
        path, environ = debian.command("mmdebstrap")
        made = kept.with_suffix(f".{os.getpid()}.tar")
        words = [path, "--quiet", "--variant=apt", "--mode=root", SUITE, str(made)]
        subprocess.run(words, env=environ, check=True, capture_output=True)
        made.rename(kept)
    return kept


@pytest.mark.long
@pytest.mark.rare
@pytest.mark.timeout(3000)
def test_the_steps_of_the_container_file(tmp_path: Path) -> None:
    """The steps of the container file make a root file system in which its command serves, its check passes, and SIGTERM ends it with 0."""
    if os.geteuid() != 0:
        pytest.skip("a root file system with several users is made as root")
    text = (SERVER / "Containerfile").read_text()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    image = Image(tmp_path, tmp_path)
    image.build(text)
    told = instructions(text)
    assert told["FROM"] == [f"docker.io/library/debian:{SUITE}-slim"]
    folder, port = tmp_path / "shop", str(free_port())
    (folder / "environments" / "staging").mkdir(parents=True)
    (folder / "orchestrator.yaml").write_text(PROJECT)
    (folder / "environments" / "staging" / "environment.yaml").write_text(ENVIRONMENT)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)
    words = [*json.loads(told["ENTRYPOINT"][0]), *json.loads(told["CMD"][0]), "--port", port]
    process = subprocess.Popen(
        image.command(words, "--bind", str(folder), "/project"), stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: _responds(port), "the server does not respond")
        check = [word.replace("8750", port) for word in json.loads(told["HEALTHCHECK"][0].partition("CMD ")[2])]
        assert subprocess.run(image.command(check), check=False).returncode == 0
        [server] = [pid for pid in _descendants(process.pid) if _words(pid).startswith(b"tini\0")]
        os.kill(server, signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert (image.root / "state").stat().st_uid == USER
    assert any((image.root / "state").iterdir())


def _responds(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _descendants(pid: int) -> list[int]:
    found = [int(text) for path in Path(f"/proc/{pid}/task").glob("*/children") for text in path.read_text().split()]
    return [each for child in found for each in (child, *_descendants(child))]
