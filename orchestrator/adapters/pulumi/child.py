"""One operation on one stack, as a process of its own: the child part of the Pulumi adapter.

Started as a file with nothing but the standard library, so that it costs milliseconds. In its folder
(`ORCHESTRATOR_JOB`) it finds `spec.json`, makes the copy `work/` of the program, runs the engine there, turns the
engine's event log into `events.jsonl`, and leaves `result.json`. The log itself may hold secrets and is removed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time

IGNORED = {".git", "__pycache__", ".venv", "venv", "node_modules", ".pulumi", ".orchestrator"}
SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - Pulumi's mark of a secret value in its JSON


def main() -> int:
    """Run the operation in `spec.json`; the engine's own exit code."""
    folder = os.environ["ORCHESTRATOR_JOB"]
    with open(os.path.join(folder, "spec.json"), encoding="utf-8") as file:
        spec = json.load(file)
    work = os.path.join(folder, "work")
    if not os.path.isdir(work):
        shutil.copytree(spec["program"], work, ignore=lambda _at, names: IGNORED & set(names), symlinks=True)
    _lay_salt(work, spec)
    log = Log(folder)
    code, text = _run(folder, work, spec, log)
    if code != 0 and "no stack named" in text:
        subprocess.run([spec["pulumi"], "stack", "init", spec["stack"], "--non-interactive"], cwd=work, check=False)
        code, text = _run(folder, work, spec, log)
    _keep_salt(work, spec)
    result = {"code": code, "error": log.error or ("" if code == 0 else text), **log.facts()}
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)
    shutil.rmtree(work, ignore_errors=True)
    return code


def _run(folder: str, work: str, spec: "dict[str, object]", log: "Log") -> "tuple[int, str]":
    """Run the engine once; its exit code and the end of what it said on standard error."""
    path = os.path.join(folder, "engine-events.json")
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    argv = [str(spec["pulumi"]), *map(str, spec["argv"]), "--event-log", path]  # type: ignore[call-overload]
    errors = os.path.join(folder, "stderr.log")
    with open(errors, "wb") as stderr:
        process = subprocess.Popen(argv, cwd=work, stdin=subprocess.DEVNULL, stderr=stderr)
    done = threading.Event()
    follower = threading.Thread(target=log.follow, args=(path, done))
    follower.start()
    code = process.wait()
    done.set()
    follower.join()
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    with open(errors, encoding="utf-8", errors="replace") as file:
        return code, file.read()[-8000:].strip()


class Log:
    """The engine's event log, followed while it grows, and what was learnt from it."""

    def __init__(self, folder: str) -> None:
        self._out = open(os.path.join(folder, "events.jsonl"), "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        self.error = ""
        self._counts: dict[str, int] = {}
        self._changes: list[dict[str, object]] = []
        self._effects = 0
        self._corrupt = False
        self._outputs: object = None

    def facts(self) -> "dict[str, object]":
        """What the result says besides the exit code. Secret outputs are left out."""
        return {
            "counts": self._counts,
            "changes": self._changes,
            "effects": self._effects,
            "corrupt": self._corrupt,
            "outputs": self._outputs,
        }

    def follow(self, path: str, done: threading.Event) -> None:
        """Read *path* line by line until *done* is set and nothing is left."""
        rest, offset = b"", 0
        while True:
            finished = done.is_set()
            data = b""
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                file.seek(offset)
                data = file.read()
            offset += len(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):
                    self._take(json.loads(line))
            if finished and not data:
                return
            if not data:
                time.sleep(0.02)

    def _take(self, event: "dict[str, dict[str, object]]") -> None:
        if "diagnosticEvent" in event:
            self._diagnostic(event["diagnosticEvent"])
        elif "resourcePreEvent" in event:
            self._resource(event["resourcePreEvent"]["metadata"], "started")  # type: ignore[arg-type]
        elif "resOutputsEvent" in event:
            self._resource(event["resOutputsEvent"]["metadata"], "done")  # type: ignore[arg-type]
        elif "resOpFailedEvent" in event:
            self._resource(event["resOpFailedEvent"]["metadata"], "failed")  # type: ignore[arg-type]
        elif "policyEvent" in event:
            policy = event["policyEvent"]
            self._say({"kind": "notice", "level": policy.get("enforcementLevel"), "text": policy.get("message")})
        elif "summaryEvent" in event:
            self._counts = dict(event["summaryEvent"].get("resourceChanges") or {})  # type: ignore[call-overload]
            self._corrupt = bool(event["summaryEvent"].get("maybeCorrupt"))

    def _diagnostic(self, event: "dict[str, object]") -> None:
        severity, text = str(event.get("severity")), str(event.get("message", "")).strip()
        if severity == "debug" or not text:
            return
        if severity == "error":
            self.error = f"{self.error}\n{text}".strip()[-8000:]
        self._say({"kind": "notice", "level": severity, "text": text[:4000], "urn": event.get("urn", "")})

    def _resource(self, metadata: "dict[str, object]", status: str) -> None:
        urn, op = str(metadata["urn"]), str(metadata["op"])
        if metadata.get("type") == "pulumi:pulumi:Stack" and status == "done":
            self._outputs = _plain((metadata.get("new") or {}).get("outputs"))  # type: ignore[attr-defined]
        if str(metadata.get("type", "")).startswith("pulumi:providers:"):
            return
        old = metadata.get("old") or metadata.get("new") or {}
        change = {
            "op": op,
            "type": metadata["type"],
            "name": urn.rsplit("::", 1)[-1],
            "urn": urn,
            "parent": old.get("parent", ""),  # type: ignore[attr-defined]
            "properties": list(metadata.get("diffs") or []),  # type: ignore[call-overload]
        }
        if status == "started":
            self._changes.append(change)
            self._effects += op not in {"same", "read", "refresh"}
        self._say({"kind": "resource", "status": status, **change})

    def _say(self, event: "dict[str, object]") -> None:
        self._out.write(json.dumps(event) + "\n")


def _plain(value: object) -> object:
    """*value* with every secret part replaced by its mark, so that nothing secret is written down."""
    if isinstance(value, dict):
        return "[secret]" if SECRET in value else {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _config_file(work: str, stack: object) -> str:
    return os.path.join(work, f"Pulumi.{str(stack).rsplit('/', 1)[-1]}.yaml")


def _lay_salt(work: str, spec: "dict[str, object]") -> None:
    """Give the copy the salt that the engine once made for this stack, which is never written to the user's file."""
    path, kept = _config_file(work, spec["stack"]), str(spec["salt"])
    text = ""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        text = file.read()
    if "encryptionsalt:" not in text and os.path.exists(kept):
        with open(kept, encoding="utf-8") as file:
            salt = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{salt.strip()}\n{text}")


def _keep_salt(work: str, spec: "dict[str, object]") -> None:
    with contextlib.suppress(FileNotFoundError), open(_config_file(work, spec["stack"]), encoding="utf-8") as file:
        lines = [line for line in file if line.startswith("encryptionsalt:")]
        if lines and not os.path.exists(str(spec["salt"])):
            temporary = f"{spec['salt']}.{os.getpid()}"
            with open(temporary, "w", encoding="utf-8") as kept:
                kept.write(lines[0])
            os.replace(temporary, str(spec["salt"]))


if __name__ == "__main__":
    sys.exit(main())
