testinfra_hosts = ["ansible://web1"]


def test_said(host, base):
    assert host.file(f"{base}/said.txt").content_string == "hello bye from ansible\n"
