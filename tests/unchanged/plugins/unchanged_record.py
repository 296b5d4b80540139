"""Records the result of each task on each host, as one JSON line, for the runs by hand."""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: unchanged_record
type: notification
short_description: records the results of tasks
description: Appends the result of each task on each host to the file that UNCHANGED_RECORD names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "unchanged_record"
    CALLBACK_NEEDS_ENABLED = False

    def _record(self, result, outcome, ignored=False):
        task = result._task
        line = {"task": task.name or task.action, "host": result._host.get_name(), "outcome": outcome, "ignored": ignored}
        with open(os.environ["UNCHANGED_RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def v2_runner_on_ok(self, result):
        self._record(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._record(result, "failed", bool(ignore_errors))

    def v2_runner_on_skipped(self, result):
        self._record(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self._record(result, "unreachable")
