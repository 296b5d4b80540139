testinfra_hosts = ["ansible://db"]


def test_folder(host, base):
    assert host.file(base).is_directory
