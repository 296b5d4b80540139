import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: counted
type: aggregate
short_description: counts
description: Writes the number of tasks beside the playbook.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "counted"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.root = None

    def v2_runner_on_ok(self, result):
        if result._task.name == "Folder of the callback":
            self.root = result._result.get("path")
        elif self.root and result._task.name == "Colours":
            with open(os.path.join(self.root, "counted"), "a") as file:
                file.write(f"{result._task.name}\n")
