"""Recovery: what an operation does before its start if the previous one did not complete.

In this order, once, and nothing is changed outside the state: an engine of ours that still runs is waited for; locks
are removed if each holder is verified to be ours and dead; pending operations are reported; `pulumi refresh` records
the existing resources. A resource that may have been created with an unknown id stops the operation, unless the
environment declares that creating it again is harmless. Standard library only: this is part of the child process.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.adapters.pulumi.events import Log
from orchestrator.adapters.pulumi.stack import Stack, State, likeness, pending, risky, unanswered
from orchestrator.adapters.pulumi.trace import LockHolder, Trace, holders
from orchestrator.adapters.pulumi.workspace import Refused
from orchestrator.processes import kill_tree

LOCKED = "the stack is currently locked"
PATIENCE = 60.0  # seconds in which an engine of ours, whose parent died, has to end
CLEAR = "--clear-pending-creates"


class Recovery:
    """The recovery by one operation from earlier ones that died.

    Args:
        spec: the job's `spec.json`.
        stack: the stack.
        trace: what the former operations left.
        log: receives what is found and done.
    """

    def __init__(self, spec: Mapping[str, Any], stack: Stack, trace: Trace, log: Log) -> None:
        self._spec, self._stack, self._trace, self._log = spec, stack, trace, log
        self._left, self._died = trace.left, trace.died  # the trace before this operation starts
        self._jobs = [Path(job) for job in trace.jobs]

    def needed(self, before: State) -> bool:
        """Whether there is anything to recover from."""
        return self._left or bool(pending(before))

    def give_up(self) -> None:
        """The operation does not start: keep the part of the trace that the next one needs."""
        if not self._left:
            self._trace.end([])

    def run(self, before: State) -> None:
        """Recover. Raises `Refused`, with E110, E130, E131 or E136."""
        self._report(before)
        self._settle_locks(before)
        after = self._stack.state()
        if self._spec["held"] and likeness(after) != likeness(before):
            reason = "the operation that died has left the stack different from the one in the plan"
            raise Refused("E131", f"Pulumi would do something other than what was planned: {reason}")
        uncertain = self._unknown(after)
        if uncertain and self._spec["pending_creates"] == "ask":
            names = "; ".join(uncertain)
            raise Refused("E136", f"it is not known whether these were created: {names}", uncertain)
        if any(operation.get("type") == "creating" for operation in pending(after)):
            self._refresh(CLEAR)

    def resolve(self, before: State, created: dict[str, str], absent: list[str], folder: Path) -> int:
        """Resolve creates as an operator decided: *created* enter the state with their ids, *absent* leave it.

        Returns how many were decided. Raises `Refused`, with E110, E130, E136 or E137.
        """
        unknown = self._unknown(before)
        decided = {*created, *(unknown if "*" in absent else absent)}
        strange = sorted(decided - set(unknown))
        if strange:
            raise Refused("E137", f"no create of {'; '.join(strange)} is pending", strange)
        left = [urn for urn in unknown if urn not in decided]
        if left:
            raise Refused("E136", f"these were not resolved: {'; '.join(left)}", left)
        lost = sorted(set(created) - set(risky(before)))
        if lost:
            message = (
                f"the state does not record what {'; '.join(lost)} was made from; bring it in with `pulumi import`"
            )
            raise Refused("E137", message, lost)
        self._settle_locks(before)
        if created:
            self._adopt(self._stack.state(), created, folder)
        if pending(self._stack.state()):
            self._refresh(CLEAR)
        return len(unknown)

    def _unknown(self, state: State) -> list[str]:
        """What may have been made: pending creates, and creates without an answer that are not in the state."""
        there = {resource["urn"] for resource in state.get("resources") or []}
        silent = [*self._trace.uncertain, *(urn for job in self._jobs for urn in unanswered(job))]
        return list(dict.fromkeys([*risky(state), *(urn for urn in silent if urn not in there)]))

    def _report(self, before: State) -> None:
        if self._died:
            self._log.notice("warning", f"the last {self._died} of this stack died; checking which resources exist")
        for operation in pending(before):
            urn = str(operation["resource"].get("urn", ""))
            self._log.notice("warning", f"an operation died while {operation.get('type')} {urn}", urn)

    def _settle_locks(self, before: State) -> None:
        """End what is left of dead operations, remove their locks, and refresh the state."""
        self._wait()
        for job in self._jobs:
            kill_tree(f"ORCHESTRATOR_JOB={job}")  # providers whose engine is gone could still make something
        self._break(self._stack.locks())
        if before:
            self._refresh()

    def _wait(self) -> None:
        deadline, is_noted = time.monotonic() + PATIENCE, False
        while self._trace.living():
            if not is_noted:
                self._log.notice("info", "waiting for the engine of the previous operation, which is still running")
                is_noted = True
            if time.monotonic() > deadline:
                numbers = ", ".join(str(pid) for pid in self._trace.living())
                raise Refused("E130", f"the previous operation still works on the stack: process {numbers}")
            time.sleep(0.1)

    def _break(self, held: list[LockHolder]) -> None:
        """Remove the locks if every holder is verified to be dead and ours. Raises `Refused` with E130."""
        if not held:
            return
        others = [holder for holder in held if not self._trace.proves_dead(holder)]
        if others:
            who = "; ".join(str(holder) for holder in others)
            raise Refused("E130", f"the stack {self._spec['stack']} is locked by {who}")
        self._log.notice("warning", f"removing the lock of an operation that died: {held[0]}")
        self._stack.unlock(held)

    def _refresh(self, *words: str) -> None:
        """Refresh. If a lock of a dead operation prevents it, remove the lock, and refresh again."""
        done = self._stack.refresh(self._trace, *words)
        if done.returncode != 0 and LOCKED in done.stderr + done.stdout:
            self._break(holders(done.stderr + done.stdout) or [LockHolder(0, "somebody", "unknown", 0, "")])
            done = self._stack.refresh(self._trace, *words)
        self._left |= done.returncode < 0  # it died as well: the trace shows that its lock is ours
        if done.returncode != 0:
            text = done.stderr.strip() or done.stdout.strip()[-2000:] or "it was killed"
            raise Refused("E110", f"pulumi refresh {self._spec['stack']}, after an operation that died: {text}")

    def _adopt(self, state: State, created: dict[str, str], folder: Path) -> None:
        """Write resources that were made into the state, as far as it is known; a refresh then reads the rest."""
        resources = list(state.get("resources") or [])
        for operation in pending(state):
            resource = dict(operation["resource"])
            if operation.get("type") == "creating" and resource["urn"] in created:
                identity = created.pop(resource["urn"])
                resources.append({**resource, "id": identity, "outputs": resource.get("inputs") or {}})
        file = folder / "adopted.json"
        handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as text:
                deployment = {**state, "resources": resources, "pending_operations": []}
                json.dump({"version": 3, "deployment": deployment}, text)
            done = self._stack.replace(self._trace, file)
        finally:
            file.unlink()
        self._left |= done.returncode < 0
        if done.returncode != 0:
            raise Refused("E110", f"pulumi stack import {self._spec['stack']}: {done.stderr.strip()}")
        self._refresh()
