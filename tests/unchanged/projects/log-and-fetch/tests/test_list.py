testinfra_hosts = ["ansible://db"]


def test_list(host, base):
    assert set(host.file(f"{base}/web-hosts").content_string.split()) == {"web1", "web2"}
