"""One operation on one stack, as a process of its own: the child part of the Pulumi adapter.

Started without `site` and with nothing but the standard library, so that it costs milliseconds. In its folder
(`ORCHESTRATOR_JOB`) it finds `spec.json` and `stack.yaml`, lays the copy of the program, runs the engine there,
turns the engine's event log into `events.jsonl`, and leaves `result.json`.
"""

import json
import os
import re
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi.events import Log
from orchestrator.adapters.pulumi.workspace import Workspace

NO_STACK = "no stack named"
LOCKED = "the stack is currently locked"
_HOLDER = re.compile(r"created by \S*@(\S+) \(pid (\d+)\)")


def main() -> int:
    """Run the operation in `spec.json`; the engine's own exit code."""
    folder = Path(os.environ["ORCHESTRATOR_JOB"])
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    with Log(folder) as log, Workspace(spec, folder, log.notice) as work:
        code, text = _operate(folder, work, spec, log)
    result = {"code": code, "error": log.error or ("" if code == 0 else text), **log.facts()}
    (folder / "result.json.new").write_text(json.dumps(result), encoding="utf-8")
    (folder / "result.json.new").replace(folder / "result.json")
    return code


def _operate(folder: Path, work: Path, spec: dict[str, Any], log: Log) -> tuple[int, str]:
    """Run the operation; once more after the stack was made, or freed of a lock whose holder is dead."""
    code, text = _engine(folder, work, spec, log)
    if code != 0 and NO_STACK in text:
        done = _small(work, spec, ["stack", "init", spec["stack"], "--non-interactive"])
        code, text = _engine(folder, work, spec, log) if done.returncode == 0 else (1, done.stderr)
    if code != 0 and LOCKED in text and spec["embedded"] and _all_dead(text):
        log.notice("warning", "an update that died here has left its lock, which is taken away")
        _small(work, spec, ["cancel", "--yes", "--stack", spec["stack"], "--non-interactive"])
        code, text = _engine(folder, work, spec, log)
    return code, text


def _small(work: Path, spec: dict[str, Any], words: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([spec["pulumi"], *words], cwd=work, capture_output=True, text=True, check=False)


def _engine(folder: Path, work: Path, spec: dict[str, Any], log: Log) -> tuple[int, str]:
    """Run the engine once; its exit code and the end of what it said on standard error."""
    path, errors = folder / "engine-events.json", folder / "stderr.log"
    path.unlink(missing_ok=True)
    path.touch(0o600, exist_ok=False)
    argv = [spec["pulumi"], *spec["argv"], "--event-log", str(path)]
    with errors.open("wb") as stderr:
        process = subprocess.Popen(argv, cwd=work, stdin=subprocess.DEVNULL, stderr=stderr)
    done = threading.Event()
    follower = threading.Thread(target=log.follow, args=(path, done))
    follower.start()
    code = process.wait()
    done.set()
    follower.join()
    path.unlink()
    return code, errors.read_text(encoding="utf-8", errors="replace")[-8000:].strip()


def _all_dead(text: str) -> bool:
    """Whether every holder of the lock that the engine names was a process of this machine which is no more."""
    holders = _HOLDER.findall(text)
    return bool(holders) and all(host == socket.gethostname() and _dead(int(pid)) for host, pid in holders)


def _dead(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
