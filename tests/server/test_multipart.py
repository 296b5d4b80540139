"""Forms with files, as the client of another library sends them."""

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import OrchestratorError
from orchestrator.web.multipart import boundary_of, form_files, multipart_fields

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="%\\"), min_size=1, max_size=20)


def sent(data: dict[str, str], files: list[Any]) -> tuple[bytes, str]:
    request = httpx2.Request("POST", "http://x/", data=data, files=files)
    boundary = boundary_of(request.headers["content-type"])
    assert boundary is not None
    return request.read(), boundary


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=40), max_size=3),
    st.lists(st.tuples(NAMES, st.binary(max_size=60)), min_size=1, max_size=3),
)
def test_a_form_arrives_as_it_was_sent(fields: dict[str, str], files: list[tuple[str, bytes]]) -> None:
    """Texts of any characters and files of any bytes and names arrive unchanged, in their order."""
    import base64

    text = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    body, boundary = sent(text, [("files", (name, data, "x/y")) for name, data in files])
    found = multipart_fields(body, boundary)
    assert {name: found[name] for name in text} == text
    assert [(name, base64.b64decode(data)) for name, data in form_files(found, "files")] == files


@given(st.binary(max_size=200))
def test_what_is_no_form_is_refused(body: bytes) -> None:
    """Any bytes are a form, or are refused with N110; nothing else happens."""
    codes = set()
    try:
        multipart_fields(b"--x\r\n" + body, "x")
    except OrchestratorError as error:
        codes.add(error.code)
    assert codes <= {"N110"}


def test_the_boundary_is_found_only_in_forms_with_files() -> None:
    """Another content type has no boundary, and a file that was not chosen is left out."""
    assert boundary_of("application/x-www-form-urlencoded") is None
    assert boundary_of('multipart/form-data; boundary="a b"') is None
    assert boundary_of("multipart/form-data; boundary=----WebKit7") == "----WebKit7"
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n--x--\r\n'
    assert multipart_fields(part, "x") == {}
    with pytest.raises(OrchestratorError, match="without a name"):
        multipart_fields(b"--x\r\nContent-Type: a/b\r\n\r\n1\r\n--x--", "x")
