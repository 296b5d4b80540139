"""Texts with variables in them."""

import pytest

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.templating import filled, url_filled
from orchestrator.domain.variables import unsafe

KNOWN = {
    "port": 80, "name": "web1", "there": "{{ name }}.example", "circle": "{{ circle }}", "none": None,
    "release": unsafe({"version": "1.0", "evil": "{{ name }}"}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://{{ name }}:{{port}}/", "http://web1:80/"),
        ("{{ there }}", "web1.example"),
        ("{{ release.version }}", "1.0"),
        ("{{ release.evil }}", "{{ name }}"),
        ('sum(errors{job="x"})', 'sum(errors{job="x"})'),
    ],
)
def test_names_are_filled(text: str, wanted: str) -> None:
    """A name becomes its value; the operator's values may name others, what a release says is never filled itself."""
    assert filled(text, KNOWN) == wanted


@pytest.mark.parametrize("text", ["{{ nobody }}", "{{ none }}", "{{ release }}", "{{ circle }}", "{{ port + 1 }}"])
def test_what_is_no_value(text: str) -> None:
    """What is not there, is no plain value, names itself or is an expression is an error with a code."""
    with pytest.raises(OrchestratorError) as raised:
        filled(text, KNOWN)
    assert raised.value.code == "V142"


@pytest.mark.parametrize("text", ["{{ name }}", "http://a b/", "file://{{ name }}/", "http://{{ name }}\r\nX: y"])
def test_what_is_no_url(text: str) -> None:
    """What is no http or https URL once it is filled is refused, and its value is not told."""
    with pytest.raises(OrchestratorError) as raised:
        url_filled(text, KNOWN)
    assert raised.value.code == "V142"
    assert "web1" not in raised.value.message
