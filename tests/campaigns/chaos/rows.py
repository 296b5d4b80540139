"""Every room of the table, by importing it."""

from tests.campaigns.chaos import ansible, hosts, processes, stacks, stores, ways_back

MODULES = (processes, stores, hosts, stacks, ansible, ways_back)
