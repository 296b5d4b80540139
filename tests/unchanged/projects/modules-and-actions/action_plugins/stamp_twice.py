from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        for name in ("first", "second"):
            path = f"{self._task.args['folder']}/{name}"
            args = {"path": path, "word": task_vars["inventory_hostname"]}
            result.update(self._execute_module("stamp", module_args=args, task_vars=task_vars))
        return result
