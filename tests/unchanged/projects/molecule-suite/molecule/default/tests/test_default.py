import os

import testinfra.utils.ansible_runner

testinfra_hosts = testinfra.utils.ansible_runner.AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"]).get_hosts("all")


def test_listen(conf):
    assert conf.contains("listen 9000")


def test_setup(host):
    assert host.ansible("setup")["ansible_facts"]["ansible_system"] == "Linux"
