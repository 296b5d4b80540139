"""Prompts at run time: the events of a play which show that it waits for input, which never comes."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.file_system import read_end

ASKPASS = "askpass"
LAST = 64 << 10  # bytes at the end of the prompts of ssh
ASKED = "asked"
PAUSE = re.compile(r"Not\s+waiting\s+for\s+response\s+to\s+prompt")
PASSWORD = re.compile(r"((?:[A-Za-z0-9]+ )?(?:BECOME|SSH|Vault|Kerberos) password(?: \([^)]*\))?(?:\[[^\]]*\])?): ?")


class Prompts:
    """Finds the first prompt among the events of a play."""

    def __init__(self) -> None:
        self.found = ""
        self._pause = ""
        self._playing = False

    def ends(self, event: Mapping[str, Any]) -> bool:
        """Whether *event* shows a prompt that nothing answers. If it does, `found` names the prompt."""
        kind, data = event.get("event"), event.get("event_data") or {}
        if kind == "playbook_on_vars_prompt" and data.get("default") is None:
            self.found = f"vars_prompt {data.get('varname')} ({str(data.get('prompt') or 'no text').strip()})"
        elif kind == "playbook_on_task_start" and str(data.get("task_action", "")).rsplit(".", 1)[-1] == "pause":
            self._pause = f"{data.get('task')} ({data.get('task_path', '')})"
        elif kind == "playbook_on_play_start":
            self._playing = True
        if not self.found:
            self.found = self._in_output(str(event.get("stdout") or ""))
        return bool(self.found)

    def _in_output(self, text: str) -> str:
        if self._pause and PAUSE.search(text):
            return f"pause in {self._pause}"
        asked = None if self._playing else PASSWORD.search(text)
        return asked[1] if asked else ""


def lay_askpass(folder: Path) -> None:
    """Write the program to *folder* that ssh calls for passwords. It records the prompt, and returns no answer."""
    program = folder / ASKPASS
    asked = shlex.quote(str(folder / ASKED))
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >>{asked}\nexit 1\n", encoding="utf-8")
    program.chmod(0o700)


def askpass(folder: Path) -> dict[str, str]:
    """The environment in which ssh calls the program in *folder*."""
    return {"SSH_ASKPASS": str(folder / ASKPASS), "SSH_ASKPASS_REQUIRE": "force"}


def unanswered_prompt(folder: Path) -> str:
    """The last prompt of ssh that had no answer; empty when there was none."""
    lines = read_end(folder / ASKED, LAST).splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
