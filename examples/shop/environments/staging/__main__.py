"""Two web hosts."""

import pulumi

from orchestrator.hosts import LoopbackHost, inventory

count = pulumi.Config().require_int("hosts")
web = [LoopbackHost(f"web{number}") for number in range(1, count + 1)]

pulumi.export("ansible_inventory", inventory(web=web, variables={"shop_tax": "7.5"}))
