testinfra_hosts = ["ansible://web"]


def test_configuration(host, base):
    assert host.file(f"{base}/shop.conf").contains("workers = 8")


def test_reloaded(host, base):
    assert host.file(f"{base}/reloaded").mode == 0o600
