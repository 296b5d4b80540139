testinfra_hosts = ["ansible://web"]


def test_app(host, base):
    assert host.file(f"{base}/app.conf").content_string.startswith("ready-5432 over 80 ")
