"""A stack's state and locks as its backend has them, secrets left encrypted. Standard library only.

A backend in a folder is read directly, in a millisecond; others are read through the engine.
"""

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from orchestrator.adapters.pulumi.events import CREATES, SECRET, hide
from orchestrator.adapters.pulumi.trace import LockHolder, Trace, parse_time
from orchestrator.domain.job_event import parsed
from orchestrator.file_system import lines_of

NO_STACK = "no stack named"
FORMAT = 3  # of a stack's file in a backend's folder
VOLATILE = {"sourcePosition", "stackTrace", "created", "modified"}  # differ although nothing has changed
PROVIDERS = "pulumi:providers:"

State = Mapping[str, Any]


class Stack:
    """One stack.

    Args:
        spec: the job's `spec.json`: the engine, the stack's and the project's name, and the backend's folder.
        work: a folder with the program, in which the engine is run.
        env: the engine's environment; that of this process when there is none.
    """

    def __init__(self, spec: Mapping[str, Any], work: Path, env: Mapping[str, str] | None = None) -> None:
        self._pulumi, self._name, self._work, self._env = str(spec["pulumi"]), str(spec["stack"]), work, env
        self._folder = Path(spec["backend"]) / ".pulumi" if spec["backend"] else None
        self._place = Path(str(spec["project_name"]), self._name.rsplit("/", 1)[-1])

    def state(self) -> State:
        """The stack's state: its resources and pending operations. Empty if the stack does not exist.

        Raises `OSError` when the backend does not answer.
        """
        found = self._stored()
        if found is not None:
            return _latest(found)
        done = self.ask("stack", "export", "--stack", self._name, "--non-interactive")
        if done.returncode != 0 and NO_STACK not in done.stderr:
            raise OSError(done.stderr.strip() or f"it ended with {done.returncode}")
        return dict(json.loads(done.stdout).get("deployment") or {}) if done.returncode == 0 else {}

    def clear_state(self) -> State | None:
        """The state, if its backend is a folder and nothing in it is encrypted: what the engine would export.

        The engine needs 0.3 s of a processor to start and to derive the key of the passphrase. None: it is needed.
        """
        try:
            found = self._stored()
            return None if found is None or SECRET.encode() in found else _latest(found, of=FORMAT)
        except (OSError, ValueError):  # the engine names what is wrong with it
            return None

    def _stored(self) -> bytes | None:
        """The content of the stack's file in the backend's folder.

        Empty if the stack does not exist, None if only the engine can read it.
        """
        if self._folder is None:
            return None
        file = self._folder / "stacks" / f"{self._place}.json"
        with contextlib.suppress(FileNotFoundError):
            return file.read_bytes()
        compressed, older = file.parent.glob(f"{file.name}.*"), file.parent.parent / file.name
        return None if any(compressed) or older.exists() else b""

    def locks(self) -> list[LockHolder]:
        """The holders of the stack, if the backend is a folder. For others only the engine's own attempt finds them."""
        found = []
        if self._folder is not None:
            for file in (self._folder / "locks" / "organization" / self._place).glob("*.json"):
                with contextlib.suppress(OSError, ValueError):
                    lock = json.loads(file.read_bytes())
                    who = (
                        int(lock["pid"]),
                        str(lock["username"]),
                        str(lock["hostname"]),
                        parse_time(lock["timestamp"]),
                    )
                    found.append(LockHolder(*who, file.as_uri()))
        return found

    def unlock(self, held: list[LockHolder]) -> None:
        """Remove the locks *held*, whose holders are verified to be dead.

        In a folder only these. For other backends `pulumi cancel` removes every lock.
        """
        files = [Path(unquote(urlparse(holder.where).path)) for holder in held if holder.where.startswith("file:")]
        if files and len(files) == len(held) and all(file.is_file() for file in files):
            for file in files:
                file.unlink(missing_ok=True)
        else:
            self.ask("cancel", "--yes", "--stack", self._name, "--non-interactive")

    def refresh(self, trace: Trace, *words: str) -> "subprocess.CompletedProcess[str]":
        """`pulumi refresh` without running the program: the state gets what really exists."""
        argv = ["refresh", "--yes", "--skip-preview", "--stack", self._name, "--non-interactive"]
        argv += ["--color", "never", "--suppress-progress", *words]
        return self._run(trace.traced([self._pulumi, *argv]))

    def replace(self, trace: Trace, file: Path) -> "subprocess.CompletedProcess[str]":
        """Replace the stack's state by the one in *file*, which ends all pending operations."""
        words = ["stack", "import", "--file", str(file), "--stack", self._name, "--non-interactive"]
        return self._run(trace.traced([self._pulumi, *words]))

    def ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run one small command of the engine."""
        return self._run([self._pulumi, *words])

    def _run(self, argv: list[str]) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(argv, cwd=self._work, env=self._env, capture_output=True, text=True, check=False)
        if "export" not in argv:
            print(f"$ pulumi {' '.join(argv[argv.index(self._pulumi) + 1 :])}\n{done.stdout}{done.stderr}", flush=True)  # noqa: T201 - to output.log
        return done


def _latest(stored: bytes, of: int | None = None) -> State:
    """The state in the content of a stack's file. Raises `ValueError` if its format is not that of the number *of*."""
    content: dict[str, Any] = json.loads(stored) if stored else {"version": of}
    if of is not None and content.get("version") != of:
        raise ValueError(content.get("version"))
    return dict((content.get("checkpoint") or {}).get("latest") or {})


def pending(state: State) -> list[dict[str, Any]]:
    """The operations that were started and whose end is not recorded: *type* and *resource*."""
    return list(state.get("pending_operations") or [])


def risky(state: State) -> list[str]:
    """What may have been made although the state does not have it: the URNs of pending creates, in order.

    The engine's own kinds (the stack, providers) and components exist in the state only, and are left out.
    """
    found = [
        str(operation["resource"]["urn"])
        for operation in pending(state)
        if operation.get("type") == "creating"
        and operation["resource"].get("custom")
        and not str(operation["resource"].get("type", "")).startswith("pulumi:")
    ]
    return list(dict.fromkeys(found))


def unanswered(folder: Path) -> list[str]:
    """The URNs of creates that the job in *folder* reported as started, and never as done.

    The engine may have seen its provider die before it died itself, and then has forgotten what was pending.
    """
    found: dict[str, None] = {}
    for line in lines_of(folder / "events.jsonl"):
        event = parsed(line)
        if isinstance(event, dict) and event.get("op") in CREATES:
            kind, urn = str(event.get("type")), str(event.get("urn"))
            if not kind.startswith("pulumi:"):
                found[urn] = None
                if event.get("status") == "done":
                    del found[urn]
    return list(found)


def fingerprint(state: State) -> str:
    """A digest of the resources and pending operations of the state: the same only when no resource was changed.

    Stacks, components and providers are not part of it. The engine writes them before it changes anything, and they are
    nothing outside of the state.
    """
    resources = [
        {key: value for key, value in resource.items() if key not in VOLATILE}
        for resource in state.get("resources") or []
        if resource.get("custom") and not str(resource.get("type")).startswith(PROVIDERS)
    ]
    compared = {"resources": resources, "pending": pending(state)}
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()


def likeness(state: State) -> list[Any]:
    """What the state contains of each resource in clear: the same after a refresh that has found nothing new.

    A refresh encrypts every secret anew, and rewrites dependencies.
    """
    return sorted(
        [
            str(item["urn"]),
            str(item.get("id")),
            json.dumps(hide([item.get("inputs"), item.get("outputs")]), sort_keys=True),
        ]
        for item in state.get("resources") or []
    )
