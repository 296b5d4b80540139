"""One web host, which is on no side, and a router that nobody switches."""

import pulumi

from orchestrator.hosts import LoopbackHost, inventory

groups = {"web": [LoopbackHost("web1")], "lb": [LoopbackHost("router")]}
pulumi.export("ansible_inventory", inventory(variables={"shop_tax": "7.5"}, **groups))
