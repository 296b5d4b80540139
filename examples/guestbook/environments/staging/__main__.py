"""One host."""

import pulumi

from orchestrator.hosts import LoopbackHost, inventory

pulumi.export("ansible_inventory", inventory(web=[LoopbackHost("web1")]))
