import pytest


@pytest.fixture
def name(host, base):
    return host.file(f"{base}/name").content_string.strip()
