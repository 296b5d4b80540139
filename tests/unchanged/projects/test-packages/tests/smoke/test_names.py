import pytest
from shopcheck import EXPECTED

from tests.common.util import modes

testinfra_hosts = ["ansible://web"]


def test_name(host, name):
    assert EXPECTED[host.backend.get_hostname()] == name


@pytest.mark.parametrize("file, mode", modes().items())
def test_mode(host, base, file, mode):
    assert host.file(f"{base}/{file}").mode == int(mode, 8)
