"""Masking of secret values, raw and encoded, however the text is cut into pieces."""

import base64
import html
import json
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.encoded_text import literals
from orchestrator.domain.redaction import Redactor
from orchestrator.domain.secret import MASK, SHORTEST, Secret, is_ordinary, secrets_of

VALUE = 'Tr0ub4dor&3/"+\\é<x>'
VALUES = st.text(st.characters(codec="utf-8"), min_size=SHORTEST, max_size=60).filter(
    lambda text: not is_ordinary(text.encode())
)
OTHER = st.text("()|;~^*! \n", max_size=80)  # characters that no encoding of a value in LETTERS has
LETTERS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFXYZ0123456789/+_-é\n\"' ", min_size=SHORTEST, max_size=60).filter(
    lambda text: len(text.strip().encode()) >= SHORTEST and not is_ordinary(text.encode())
)


def redactor(*values: str, names: tuple[str, ...] = ()) -> Redactor:
    return Redactor([Secret("password", value.encode()) for value in values], names)


def shifted(value: str, before: int) -> str:
    return base64.b64encode(b"?" * before + value.encode() + b"??").decode()


FORMS: dict[str, Callable[[str], str]] = {
    "raw": lambda value: value,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "URL": lambda value: quote(value, safe=""),
    "URL of a form": quote_plus,
    "URL in lower case": lambda value: "".join(
        char.lower() if escaped else char for char, escaped in _percents(quote(value, safe=""))
    ),
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON with all characters": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "JSON in a URL": lambda value: quote(json.dumps(value)[1:-1], safe=""),
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
}


def _percents(text: str) -> list[tuple[str, bool]]:
    return [(char, "%" in text[max(0, at - 2) : at]) for at, char in enumerate(text)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_value_is_masked(form: str) -> None:
    """A value is masked in each encoding, and what stands around it stays."""
    text = f"before {FORMS[form](VALUE)} after"
    masked = redactor(VALUE).text(text)
    assert masked.startswith(f"before {MASK}")
    assert masked.endswith(" after")
    assert FORMS[form](VALUE) not in masked


SPECIAL = "p4ss/w\"ör+d\\x&<Q'z9"
NESTED: dict[str, Callable[[str], str]] = {
    "every character as an escape": lambda value: "".join(f"\\u{ord(char):04x}" for char in value),
    "every character as an escape in capitals": lambda value: "".join(f"\\u{ord(char):04X}" for char in value),
    "every byte as an escape": lambda value: "".join(f"\\x{byte:02x}" for byte in value.encode()),
    "every byte of a URL": lambda value: "".join(f"%{byte:02X}" for byte in value.encode()),
    "HTML": html.escape,
    "XML": lambda value: html.escape(value, quote=False),
    "XML of Python": lambda value: html.escape(value).replace("&#x27;", "'"),
    "base64 of a document": lambda value: base64.b64encode(json.dumps({"auth": value}).encode()).decode(),
    "base64 of a document with all characters": lambda value: shifted(json.dumps(value, ensure_ascii=False), 2),
    "hex of a document": lambda value: json.dumps({"auth": value}).encode().hex(),
}


@pytest.mark.parametrize("form", NESTED)
def test_a_value_with_special_characters_is_masked_in_nested_forms(form: str) -> None:
    """Quotes, backslashes and markup hide no value, whether all of it is escaped or a document has it."""
    masked = redactor(SPECIAL).text(f"before {NESTED[form](SPECIAL)} after")
    assert MASK in masked
    assert NESTED[form](SPECIAL) not in masked


@pytest.mark.parametrize("before", [0, 1, 2])
def test_base64_of_a_longer_text_has_no_value(before: int) -> None:
    """A value within a longer text is masked in the base64 of that, at each of the three alignments."""
    masked = redactor(VALUE).text(shifted(VALUE, before))
    assert MASK in masked
    assert len(masked.replace(MASK, "")) <= len(base64.b64encode(b"?" * before + b"??")) + 4


@pytest.mark.parametrize(("form", "columns"), [("base64", 16), ("base64", 5), ("hex", 20), ("raw", 7)])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\\n", "\\\\n", '",\n    "'])
def test_wrapped_lines_are_masked(form: str, columns: int, line_break: str) -> None:
    """A value that a program has wrapped is masked over its lines, also where the lines are items of a list."""
    value = "a-value-that-is-wrapped-because-it-is-long"
    wrapped = line_break.join(textwrap.wrap(FORMS[form](value), columns, break_on_hyphens=False))
    assert redactor(value).text(f"<{wrapped}>") == f"<{MASK}>"


def test_lines_of_a_value_are_masked_one_by_one() -> None:
    """Each line of a value with several lines is masked also without the others; the frame of a key is not a secret."""
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqh\nkiG9w0BAQEFAASCBK\n-----END PRIVATE KEY-----\n"
    lines = [f"+ {line}" for line in key.splitlines()]
    masked = redactor(key).text("\n".join(lines)).splitlines()
    assert masked == [lines[0], f"+ {MASK}", f"+ {MASK}", lines[3]]
    assert redactor(key).text(key) == MASK


def test_blanks_make_no_value() -> None:
    """Two words that are a value without the blank between them are not masked."""
    text = "pass word1 and pass,word1"
    assert redactor("password1").text(text) == text


@given(LETTERS, st.sampled_from(sorted(FORMS)), OTHER, OTHER)
def test_nothing_of_a_value_is_left(value: str, form: str, before: str, after: str) -> None:
    """No encoding of a value stands in a masked text."""
    masked = redactor(value).text(f"{before}({FORMS[form](value)}){after}").encode()
    assert not [text for text in literals(value.encode()) if text in masked and text not in MASK.encode()]


@given(VALUES, st.sampled_from(["raw", "base64", "base64 for URLs", "URL", "JSON", "hex", "HEX"]), st.text(), st.text())
def test_context_hides_no_value(value: str, form: str, before: str, after: str) -> None:
    """A value in a usual encoding is masked whatever stands before and after it."""
    text = before + FORMS[form](value) + after
    masked = redactor(value).mask(text.encode())
    assert FORMS[form](value).encode() not in masked or FORMS[form](value) in MASK


@given(st.lists(LETTERS, max_size=4), st.text() | st.text('\\"%,\n nrtu0'))
def test_text_without_secrets_is_unchanged(values: list[str], text: str) -> None:
    """Text that has no value is the same byte by byte."""
    found = redactor(*values)
    if not found.masks(text.encode()):
        assert found.mask(text.encode()) == text.encode()
    plain = "".join(char for char in text if not char.isalnum())
    if not any(set(plain) >= set(value) for value in values):
        assert found.text(plain) == plain


PIECES = st.one_of(
    st.sampled_from(list(FORMS)),
    st.text('\\"%,\n nrtu0x5C', max_size=12),
    st.text(max_size=6),
    st.just("\\" * 40),
    st.just("%25" * 20),
    st.just("pin: 42 "),
)


@given(VALUES, st.lists(PIECES, max_size=12), st.lists(st.integers(1, 400), max_size=30), st.integers(0, 4))
def test_pieces_make_no_difference(value: str, pieces: list[str], cuts: list[int], pauses: int) -> None:
    """Text that comes in pieces is masked as if it came at once, wherever it is cut, and where nothing comes for a while."""
    found = Redactor([Secret("password", value.encode()), Secret("pin", b"42")])
    filler = "x" * 700
    text = filler.join(FORMS[piece](value) if piece in FORMS else piece for piece in pieces).encode()
    stream, out, at = found.stream(), [], 0
    for number, size in enumerate((*cuts, len(text))):
        out.append(stream.feed(text[at : at + size]))
        out += [stream.pause()] if number % 3 == pauses else []
        at += size
    assert b"".join([*out, stream.end()]) == found.mask(text)


@given(VALUES, st.lists(st.sampled_from(sorted(FORMS)), min_size=1, max_size=6))
def test_bytes_that_come_one_by_one(value: str, forms: list[str]) -> None:
    """Text that comes byte by byte is masked as if it came at once."""
    found = redactor(value)
    text = "\n".join(FORMS[form](value) for form in forms).encode()
    stream = found.stream()
    assert b"".join([*(stream.feed(bytes([byte])) for byte in text), stream.end()]) == found.mask(text)
    stream = found.stream()
    assert b"".join([*(stream.feed(bytes([byte])) + stream.pause() for byte in text), stream.end()]) == found.mask(text)


def test_what_is_held_back_is_bounded() -> None:
    """A stream holds back no more than a few kilobytes, also of text that is all escapes, blanks or one value."""
    for unit in (b"\\", b"%41", b" ", b"\n", b"aaaaaa", b"\\u0061", b"plain text "):
        found = redactor("aaaaaa")
        stream, out, given_ = found.stream(), 0, 0
        for _ in range(30):
            data = unit * 1000
            given_ += len(data)
            out += len(stream.feed(data))
            assert len(stream._rest) < 4 * (found.hold + found.span) + len(data)


@given(st.lists(LETTERS, min_size=70, max_size=90, unique=True), st.data())
def test_many_values(values: list[str], data: st.DataObject) -> None:
    """Many values are found as few are."""
    value, form = data.draw(st.sampled_from(values)), data.draw(st.sampled_from(["raw", "base64", "hex"]))
    masked = redactor(*values).text(f"({FORMS[form](value)})")
    assert FORMS[form](value) not in masked


@pytest.mark.parametrize(
    "value", ["12345", "true", "YES", "no", "root", "admin", "9999", "web1.example", "secret", " "]
)
def test_ordinary_values(value: str) -> None:
    """A value that is short, a common word, a small number or a host name is masked behind its key only."""
    found = redactor(value, names=("web1.example",))
    assert [secret.key for secret in found.weak] == (["password"] if value.strip() else [])
    assert found.text(f"it is {value} here") == f"it is {value} here"
    if value.strip():
        for text in (
            f"password: {value} x",
            f'{{"password": "{value}"}}',
            f"password={value}",
            f'\\"password\\": \\"{value}',
        ):
            assert value not in found.text(text).replace(MASK, "")
        assert found.data({"password": value, "other": value}) == {"password": MASK, "other": value}
    assert found.text(f"password: {value}7") == f"password: {value}7"


def test_names_that_have_a_value_as_a_part() -> None:
    """A name of the project is kept as a whole, in text and in data, and the value is masked everywhere else."""
    found = redactor("orders", "internal", names=("orders-db-1", "db.internal.example"))
    assert not found.weak
    assert found.text("orders on orders-db-1, orders-db-12") == f"{MASK} on orders-db-1, {MASK}-db-12"
    data = {"orders-db-1": {"at": "db.internal.example:22", "text": "internal", "key": "r1.orders-db-1.orders"}}
    masked = {"orders-db-1": {"at": "db.internal.example:22", "text": MASK, "key": f"r1.orders-db-1.{MASK}"}}
    assert found.data(data) == masked
    assert Redactor.from_payload(found.to_payload()).data(data) == masked
    assert found.mask(b"on orders-db-1") == b"on [secret]-db-1"


def test_words_of_records() -> None:
    """A word of records is kept in a field that only names something, and masked in text and behind the key."""
    found = Redactor([Secret("password", b"verify"), Secret("other", b"succeed")], words={"verify", "succeeded"})
    data = {"verify": "succeeded", "step": "r1.verify.1", "password": "verify", "text": "to verify", "at": "x?a=verify"}
    masked = {**data, "password": MASK, "text": f"to {MASK}", "at": f"x?a={MASK}"}
    assert found.data(data) == masked
    assert Redactor.from_payload(found.to_payload()).data(data) == masked
    assert found.text("password=verify") == f"password={MASK}"
    assert found.data("password:verify") == f"password:{MASK}"
    assert found.mask(b"verify, succeeded") == b"[secret], [secret]ed"


def test_numbers_of_records() -> None:
    """A secret number is masked in each field of a document but those that are ours."""
    found = Redactor([Secret("pin", b"482913")], words={"size"})
    assert found.data({"size": 482913, "code": 482913, "n": 4829130}) == {"size": 482913, "code": MASK, "n": 4829130}
    assert Redactor.from_payload(found.to_payload()).data({"size": 482913}) == {"size": 482913}


def test_a_number_of_many_digits() -> None:
    """A secret of more digits than a number can have is masked like any other."""
    assert redactor("7" * 6000).text("7" * 6000) == MASK


def test_numbers_and_lists_in_data() -> None:
    """In JSON data texts, names, numbers and the lines of a list are masked, and it stays JSON."""
    found = Redactor([Secret("pin", b"123456789012"), Secret("port", b"8080"), Secret("key", VALUE.encode())])
    data = {"pin": 123456789012, "port": 8080, VALUE: [VALUE, 1, None, True], "lines": ["x" + VALUE[:9], VALUE[9:]]}
    masked = {"pin": MASK, "port": MASK, MASK: [MASK, 1, None, True], "lines": [f"x{MASK}"]}
    assert found.data(data) == masked
    assert json.loads(found.json(json.dumps(data))) == masked
    assert found.json('{"a": 1}') == '{"a": 1}'


def test_secrets_of_an_output() -> None:
    """Each leaf of an output is a secret of its own, called by the nearest name above it."""
    found = list(secrets_of("db", {"user": "shop", "keys": ["one", 2], "on": True, "none": None}))
    assert [(secret.key, secret.value) for secret in found] == [
        ("user", b"shop"), ("keys", b"one"), ("keys", b"2"), ("on", b"true"),
    ]  # fmt: skip
    assert "shop" not in repr(found)


@given(VALUES, st.text())
def test_masked_text_is_not_changed_again(value: str, text: str) -> None:
    """A masked text is masked already."""
    found = redactor(value)
    once = found.text(f"{text}{value}")
    assert value not in found.text(once) or value in MASK


def test_no_secrets_cost_nothing() -> None:
    """Without secrets every text is returned as it came."""
    text = "any text"
    assert Redactor().text(text) is text
    assert Redactor().is_empty


CUT_TEXTS = {
    "its end, with what is left out": lambda value: f"before {value[:14]}… (1234 characters more)",
    "the end of a line": lambda value: f"before {value[:9]}…",
    "the end of a long text": lambda value: f"{'x' * 2000} {value[:11]}",
    "the beginning of a long text": lambda value: f"{value[5:]} {'x' * 2000}",
    "the end of its base64": lambda value: f"{base64.b64encode(value.encode()).decode()[:15]}…",
}


@pytest.mark.parametrize("where", CUT_TEXTS)
def test_a_part_of_a_value_at_a_cut(where: str) -> None:
    """A text of a record that was cut within a value does not show the part of the value."""
    value = "canary-0123456789abcdef"
    text = CUT_TEXTS[where](value)
    masked = redactor(value).data({"message": text, "size": 3})
    assert json.loads(redactor(value).json(json.dumps({"message": text, "size": 3}))) == masked
    assert masked["size"] == 3
    assert MASK in masked["message"]
    assert not any(value[at : at + SHORTEST] in masked["message"] for at in range(len(value) - SHORTEST))


def test_a_document_is_searched_once() -> None:
    """A document without secrets is returned as it came, also with texts that were cut elsewhere."""
    data = {"message": f"{'x' * 3000}…", "more": ["a", "b… (12 characters more)"]}
    assert redactor("canary-0123456789").data(data) is data


def test_what_is_certain_is_written_in_a_pause() -> None:
    """Where nothing comes for a while, a text is written up to where a secret may have begun."""
    found = Redactor([Secret("password", b"canary-0123456789"), Secret("pin", b"42")])
    stream = found.stream()
    assert stream.feed(b"TASK [Sleep]\n") == b""
    assert stream.pause() == b"TASK [Sleep]\n"
    stream.feed(b"it is canary-01")
    assert stream.pause() == b"it is "
    stream.feed(b"23456789 and pin")
    assert stream.pause() == b"[secret] and "
    stream.feed(b": ")
    assert stream.pause() == b""
    stream.feed(b"42\n")
    assert stream.end() == b"pin: [secret]\n"
