testinfra_hosts = ["local://"]


def test_local(host):
    assert host.run("true").rc == 0
