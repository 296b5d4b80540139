import pytest

testinfra_hosts = ["ansible://web"]


@pytest.mark.parametrize("line", ["port=8080", "owner=playbook", "colour=green", "size=large"])
def test_line(host, base, line):
    assert host.file(f"{base}/shop.conf").contains(line)
