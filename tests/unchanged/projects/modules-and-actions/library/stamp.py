#!/usr/bin/python
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stamps import line


def main():
    module = AnsibleModule({"path": {"type": "path", "required": True}, "word": {"default": "none"}}, supports_check_mode=True)
    path, text = module.params["path"], line(module.params["word"])
    changed = not os.path.exists(path) or open(path).read() != text
    if changed and not module.check_mode:
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o640)
    module.exit_json(changed=changed, text=text)


main()
