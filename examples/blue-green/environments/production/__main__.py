"""Two web hosts on each side, and a router before them."""

import pulumi

from orchestrator.hosts import LoopbackHost, inventory

blue = [LoopbackHost(f"web{number}") for number in (1, 2)]
green = [LoopbackHost(f"web{number}") for number in (3, 4)]
router = [LoopbackHost("router")]

hosts = inventory(web=blue + green, blue=blue, green=green, lb=router, variables={"shop_tax": "7.5"})
pulumi.export("ansible_inventory", hosts)
