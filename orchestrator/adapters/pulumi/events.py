"""The engine's event log, followed while it grows, turned into our events, and what was learnt from it.

Standard library only: this is part of the child process. The log marks what is secret; nothing so marked is passed on.
"""

import contextlib
import io
import json
import re
import threading
import time
from pathlib import Path
from typing import Any, Self

from orchestrator.domain.job_event import parsed
from orchestrator.processes import events_of

SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - Pulumi's mark of a secret value in its JSON
HIDDEN = "[secret]"
STACK = "pulumi:pulumi:Stack"
HARMLESS = {"same", "read", "refresh"}
CREATES = {"create", "create-replacement"}
PAUSE = 0.02
_SUMMARY = re.compile(r"^(update|preview|destroy|refresh) failed$")  # follows what really failed
_DEAD = re.compile(r"error reading from server|transport is closing|code = Unavailable|connection re(set|fused)")
LONGEST = 8000
CHUNK = 8 << 20  # bytes of the log that are read at once


class Log:
    """Reports the events of the job in *folder*, and keeps what the result will contain."""

    def __init__(self, folder: Path) -> None:
        self._path = Path(events_of(str(folder)))
        self._out: io.FileIO | None = None
        self.error = ""
        self._facts: dict[str, Any] = {}
        self._reset()

    def __enter__(self) -> Self:
        self._out = io.FileIO(self._path, "a")
        return self

    def __exit__(self, *_: object) -> None:
        if self._out is not None:
            self._out.close()

    def _reset(self) -> None:
        self._facts = {"counts": {}, "changes": [], "effects": 0, "corrupt": False, "outputs": None}
        self._facts["refreshed"] = []
        self._refreshing: set[str] = set()
        self._creating: list[str] = []
        self._unanswered: set[str] = set()

    def facts(self) -> dict[str, Any]:
        """The content of the result besides the exit code: counts, changes, effects, outputs with secrets hidden.

        *refreshed* are the resources that a refresh found other than the state has them, with what differs.
        *uncertain* are creates whose provider died before it answered: the engine counts them as failed, and forgets
        them.
        """
        return {**self._facts, "uncertain": [urn for urn in self._creating if urn in self._unanswered]}

    def tally(self, op: str, number: int) -> None:
        """Count what was done without the engine's events."""
        self._facts["counts"] = {op: number}

    def notice(self, level: str, text: str, urn: str = "") -> None:
        """Emit one notice."""
        self._say({"kind": "notice", "level": level, "text": text[:LONGEST], "urn": urn})

    def follow(self, path: Path, done: threading.Event) -> None:
        """Read *path* line by line until *done* is set and nothing is left."""
        self._reset()
        rest = b""
        with path.open("rb") as file:
            while True:
                finished = done.is_set()
                data = file.read(CHUNK)
                *lines, rest = (rest + data).split(b"\n") if b"\n" in data else (rest + data,)
                for line in lines:
                    event = parsed(line)
                    if isinstance(event, dict):
                        self._take(event)
                if finished and not data:
                    return
                if not data:
                    time.sleep(PAUSE)

    def _take(self, event: dict[str, Any]) -> None:
        for name, status in (
            ("resourcePreEvent", "started"),
            ("resOutputsEvent", "done"),
            ("resOpFailedEvent", "failed"),
        ):
            if name in event:
                self._resource(event[name]["metadata"], status)
        if "diagnosticEvent" in event:
            self._diagnostic(event["diagnosticEvent"])
        if "policyEvent" in event:
            self._policy(event["policyEvent"])
        if "summaryEvent" in event:
            summary = event["summaryEvent"]
            self._facts["counts"] = dict(summary.get("resourceChanges") or {})
            self._facts["corrupt"] = bool(summary.get("maybeCorrupt"))

    def _diagnostic(self, event: dict[str, Any]) -> None:
        severity, text = str(event.get("severity")), str(event.get("message", "")).strip()
        if severity == "debug" or not text:
            return
        if severity == "error" and not (self.error and _SUMMARY.match(text)):
            self.error = f"{self.error}\n{text}".strip()[-LONGEST:]
        if severity == "error" and _DEAD.search(text):
            self._unanswered.add(str(event.get("urn", "")))
        self.notice(severity, text, str(event.get("urn", "")))

    def _policy(self, event: dict[str, Any]) -> None:
        level, text = str(event.get("enforcementLevel")), str(event.get("message", "")).strip()
        name = f"{event.get('policyPackName', '')}: {event.get('policyName', '')}"
        self.notice(
            "error" if level == "mandatory" else "warning", f"{name}: {text}", str(event.get("resourceUrn", ""))
        )

    def _resource(self, metadata: dict[str, Any], status: str) -> None:
        kind, urn, op = str(metadata.get("type", "")), str(metadata["urn"]), str(metadata["op"])
        if kind == STACK and status == "done":
            self._facts["outputs"] = hide((metadata.get("new") or {}).get("outputs"))
        if kind.startswith("pulumi:providers:"):
            return
        change = {
            "op": op,
            "type": kind,
            "name": urn.rsplit("::", 1)[-1],
            "urn": urn,
            "parent": (metadata.get("new") or metadata.get("old") or {}).get("parent", ""),
            "properties": sorted(metadata.get("diffs") or []),
        }
        if status == "started":
            self._begun(change, metadata)
        elif status == "done":
            self._done(change, metadata)
        self._say({"kind": "resource", "status": status, **change})

    def _begun(self, change: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Keep the *change* of a resource that the engine starts."""
        op, urn = change["op"], change["urn"]
        if op == "refresh":
            self._refreshing.add(urn)
        self._facts["changes"].append(change)
        self._facts["effects"] += op not in HARMLESS and change["type"] != STACK
        self._creating += [urn] if op in CREATES and (metadata.get("new") or {}).get("custom") else []

    def _done(self, change: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Keep that the *change* of a resource has ended, and what a refresh has found."""
        urn = change["urn"]
        if urn in self._refreshing:
            self._refreshing.remove(urn)
            self._refreshed(change, metadata)
        if urn in self._creating:
            self._creating.remove(urn)

    def _refreshed(self, change: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Keep what a refresh has found. The engine calls it the same where no input is another: outputs count too."""
        old, new = ((metadata.get(side) or {}).get("outputs") or {} for side in ("old", "new"))
        if metadata.get("new") is None:
            self._facts["refreshed"].append({**change, "op": "delete", "properties": []})
            return
        names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        if names and change["type"] != STACK:
            self._facts["refreshed"].append({**change, "op": "update", "properties": names})

    def _say(self, event: dict[str, Any]) -> None:
        data = (json.dumps(event) + "\n").encode()
        with contextlib.suppress(
            BrokenPipeError
        ):  # its reader was killed: the counts of the result are made all the same
            while self._out is not None and data:
                data = data[self._out.write(data) :]


def hide(value: Any) -> Any:
    """*value* with every part that is marked as secret replaced."""
    if isinstance(value, dict):
        return HIDDEN if SECRET in value else {key: hide(item) for key, item in value.items()}
    return [hide(item) for item in value] if isinstance(value, list) else value
