"""Four web hosts. The first has been there for long, and its tax was once written with a comma."""

import pulumi

from orchestrator.hosts import LoopbackHost, inventory

OLD = {"web1": {"shop_tax": "7,5"}}

count = pulumi.Config().require_int("hosts")
web = [LoopbackHost(f"web{number}", variables=OLD.get(f"web{number}")) for number in range(1, count + 1)]

pulumi.export("ansible_inventory", inventory(web=web, variables={"shop_tax": "7.5"}))
