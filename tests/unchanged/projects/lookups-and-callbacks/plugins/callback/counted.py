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

    def v2_runner_on_ok(self, result):
        if result._task.name == "Colours":
            with open("counted", "a") as file:
                file.write(f"{result._task.name}\n")
