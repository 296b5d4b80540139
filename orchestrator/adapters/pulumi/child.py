"""One operation on one stack, as a process of its own: the child part of the Pulumi adapter.

Started without `site` and with nothing but the standard library, so that it costs milliseconds. In its folder
(`ORCHESTRATOR_JOB`) it finds `spec.json` and `stack.yaml`, lays the copy of the program, runs the engine there,
turns the engine's event log into `events.jsonl`, and leaves `result.json`; in `before`, the fingerprint of the state
in which an operation with effects started.
"""

import hashlib
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi.events import Log
from orchestrator.adapters.pulumi.printed import Printed
from orchestrator.adapters.pulumi.recovery import Recovery
from orchestrator.adapters.pulumi.stack import NO_STACK, Stack, fingerprint
from orchestrator.adapters.pulumi.trace import Trace
from orchestrator.adapters.pulumi.workspace import Refused, Workspace
from orchestrator.file_system import read_end

LAST = 8000  # bytes at the end of the engine's standard error
UPDATE_PLAN = "update-plan.json"  # in the job's folder: what the update is constrained to


def main() -> int:
    """Run the operation in `spec.json`; the engine's own exit code."""
    folder = Path(os.environ["ORCHESTRATOR_JOB"])
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    with Log(folder) as log:
        try:
            with Workspace(spec, folder, log.notice) as work:
                result = Operation(folder, work, spec, log).run()
        except Refused as refused:
            result = refused_result(refused, log)
    (folder / "result.json.new").write_text(json.dumps(result), encoding="utf-8")
    (folder / "result.json.new").replace(folder / "result.json")
    return int(result["code"])


def refused_result(refused: Refused, log: Log) -> dict[str, Any]:
    """The result of an operation that was not started."""
    facts = {"error": refused.message, "refused": refused.code, "urns": refused.urns}
    return {"code": 1, **log.facts(), "effects": 0, **facts}


class Operation:
    """The operation of the job in *folder*, as *spec* describes it, on the copy *work* of the program."""

    def __init__(self, folder: Path, work: Path, spec: dict[str, Any], log: Log) -> None:
        self._folder, self._work, self._spec, self._log = folder, work, spec, log
        self._stack, self._trace = Stack(spec, work), Trace(Path(spec["trace"]), spec.get("ended", ()), alone=True)

    def run(self) -> dict[str, Any]:
        """Run it to its end. Returns the content of `result.json`."""
        if self._spec["verb"] == "preview":
            code, text = self._attempt([self._spec["pulumi"]])
        else:
            try:
                code, text = self._with_effects()
            except Refused as refused:
                return refused_result(refused, self._log)
        return {"code": code, "error": self._log.error or ("" if code == 0 else text), **self._log.facts()}

    def _with_effects(self) -> tuple[int, str]:
        """Recover from operations that died before, at most once, and then run. The trace exists until the end."""
        try:
            before = self._stack.state()
        except OSError as error:
            return 1, str(error)
        (self._folder / "before").write_text(fingerprint(before), encoding="ascii")
        recovery = Recovery(self._spec, self._stack, self._trace, self._log)
        self._trace.begin(self._spec["verb"], str(self._folder))
        try:
            if self._spec["verb"] == "resolve":
                count = recovery.resolve(before, self._spec["created"], self._spec["absent"], self._folder)
                self._log.tally("resolved", count)
                code, text = 0, ""
            else:
                if recovery.needed(before):
                    recovery.run(before)
                code, text = self._attempt(self._trace.traced([self._spec["pulumi"]]))
        except Refused:
            recovery.give_up()
            raise
        if code >= 0:  # the engine was not killed, and has settled its locks and its state
            self._trace.end(self._log.facts()["uncertain"])
        return code, text

    def _attempt(self, engine: list[str]) -> tuple[int, str]:
        """Run the engine. If the stack does not exist, make it, and run the engine again."""
        code, text = self._engine(engine)
        if code != 0 and NO_STACK in text:
            done = self._stack.ask("stack", "init", self._spec["stack"], "--non-interactive")
            code, text = self._engine(engine) if done.returncode == 0 else (1, done.stderr)
        return code, text

    def _engine(self, engine: list[str]) -> tuple[int, str]:
        """Run the engine once. Returns its exit code and the end of its standard error."""
        path, errors = self._folder / "engine-events.json", self._folder / "stderr.log"
        path.unlink(missing_ok=True)
        path.touch(0o600, exist_ok=False)
        argv = [*engine, *self._spec["argv"], *self._constraint(), "--event-log", str(path)]
        with Printed() as printed, errors.open("wb") as stderr:
            process = subprocess.Popen(
                argv, cwd=self._work, stdin=subprocess.DEVNULL, stdout=printed.handle, stderr=stderr
            )
            done = threading.Event()
            follower = threading.Thread(target=self._log.follow, args=(path, done))
            follower.start()
            code = process.wait()
            done.set()
            follower.join()
        path.unlink()
        return code, read_end(errors, LAST).strip()

    def _constraint(self) -> list[str]:
        """The option that constrains an update, if the job's copy of the update plan is unchanged."""
        held, copy = str(self._spec.get("held") or ""), self._folder / UPDATE_PLAN
        if not held:
            return []
        data = copy.read_bytes() if copy.is_file() else b""
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != held:
            raise Refused("E163", "Pulumi's saved update plan was changed in the job's folder; nothing was changed")
        return ["--plan", str(copy)]
