#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule

AnsibleModule({}).exit_json(changed=True, ansible_facts={"own_fact": "from the role"})
