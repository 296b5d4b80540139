#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule({"path": {"type": "path"}, "text": {}})
    with open(module.params["path"], "w") as file:
        file.write(module.params["text"])
    module.exit_json(changed=True)


main()
