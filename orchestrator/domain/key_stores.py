"""Private keys in binary files: PKCS#1, PKCS#8 and SEC 1 in DER, PKCS#12, and the key stores of Java.

A store that has certificates only, such as a trust store, does not count. The structures are those of RFC 8017
(PKCS#1), RFC 5958 (PKCS#8), RFC 5915 (SEC 1), RFC 7292 (PKCS#12) and of OpenJDK's `JavaKeyStore`.
"""

import mmap
import struct
from collections.abc import Iterator

Data = bytes | mmap.mmap
SEQUENCE, INTEGER, OCTETS, OBJECT = 0x30, 0x02, 0x04, 0x06
PKCS5 = bytes.fromhex("2a864886f70d0105")  # 1.2.840.113549.1.5: encryption by a password
PKCS12_PBE = bytes.fromhex("2a864886f70d010c01")  # 1.2.840.113549.1.12.1: the older kind
PKCS7 = bytes.fromhex("2a864886f70d0107")  # 1.2.840.113549.1.7
PKCS12_BER = bytes.fromhex("3080020103")  # of indefinite length, as some programs write it
KEY_BAGS = (bytes.fromhex("2a864886f70d010c0a0101"), bytes.fromhex("2a864886f70d010c0a0102"))
JKS, JCEKS = 0xFEEDFEED, 0xCECECECE
PRIVATE, CERTIFICATE, SECRET = 1, 2, 3  # tags of entries
MOST_ENTRIES = 10_000


def key_store(data: Data) -> str | None:
    """What private key the binary file *data* is or has; None if it is something else."""
    head = data[:4]
    if len(head) == 4 and struct.unpack(">I", head)[0] in {JKS, JCEKS}:
        return _java(data[:])
    if data[: len(PKCS12_BER)] == PKCS12_BER:
        return _pkcs12(data)
    if head[:1] == bytes([SEQUENCE]):
        return _der(data)
    return None


# -- DER ---------------------------------------------------------------------------------------------------------------


def _der(data: Data) -> str | None:
    outer = _element(data, 0)
    if outer is None or outer[2] != len(data):
        return None  # it is not one structure from the first to the last byte
    parts = []
    for tag, start, end in _elements(data, outer[1], outer[2]):
        parts.append((tag, data[start : min(end, start + 64)]))
        if len(parts) > 16:
            return None
    return _kind(data, parts)


def _kind(data: Data, parts: list[tuple[int, bytes]]) -> str | None:
    tags = [tag for tag, _ in parts]
    contents = [content for _, content in parts]
    for text, fits in _KEYS.items():
        if contents and fits(tags, contents):
            return text
    if tags[:2] == [INTEGER, SEQUENCE] and contents[0] == b"\3" and PKCS7 in contents[1][:24]:
        return _pkcs12(data)
    return None


def _is_pkcs8(tags: list[int], contents: list[bytes]) -> bool:
    named = tags[:3] == [INTEGER, SEQUENCE, OCTETS] and contents[1][:1] == bytes([OBJECT])
    return named and contents[0] in {b"\0", b"\1"}


def _is_pkcs1(tags: list[int], contents: list[bytes]) -> bool:
    return len(tags) >= 9 and set(tags[:9]) == {INTEGER} and contents[0] in {b"\0", b"\1"}


def _is_sec1(tags: list[int], contents: list[bytes]) -> bool:
    return tags[:2] == [INTEGER, OCTETS] and contents[0] == b"\1" and set(tags[2:]) <= {0xA0, 0xA1}


def _is_encrypted_pkcs8(tags: list[int], contents: list[bytes]) -> bool:
    return tags == [SEQUENCE, OCTETS] and contents[0][2:].startswith((PKCS5, PKCS12_PBE))


_KEYS = {
    "a private key (PKCS#8)": _is_pkcs8,
    "a private key (PKCS#1)": _is_pkcs1,
    "a private key (SEC 1)": _is_sec1,
    "a private key (PKCS#8, encrypted)": _is_encrypted_pkcs8,
}
"""The structures of keys: the tags of their elements, and the start of the content of each."""


def _pkcs12(data: Data) -> str | None:
    return "a private key (PKCS#12)" if any(data.find(bag) >= 0 for bag in KEY_BAGS) else None


def _elements(data: Data, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements between two offsets: tag, and the offsets of the content."""
    while at < end:
        element = _element(data, at)
        if element is None or element[2] > end:
            return
        yield element
        at = element[2]


def _element(data: Data, at: int) -> tuple[int, int, int] | None:
    """The element at an offset: its tag, and where its content starts and ends; None if there is none."""
    head = data[at : at + 6]
    if len(head) < 2:
        return None
    tag, length = head[0], head[1]
    if length < 0x80:
        return tag, at + 2, at + 2 + length
    size = length & 0x7F
    if not 1 <= size <= 4 or len(head) < 2 + size:
        return None
    return tag, at + 2 + size, at + 2 + size + int.from_bytes(head[2 : 2 + size], "big")


# -- Java --------------------------------------------------------------------------------------------------------------


def _java(data: bytes) -> str | None:
    """Whether a key store of Java has an entry that is not a certificate."""
    try:
        version, count = struct.unpack_from(">II", data, 4)
        if version not in {1, 2}:
            return None
        at = 12
        for _ in range(min(count, MOST_ENTRIES)):
            (tag,) = struct.unpack_from(">I", data, at)
            if tag in {PRIVATE, SECRET}:
                return "a private key (key store of Java)"
            if tag != CERTIFICATE:
                return None
            at = _after_certificate(data, at + 4, version)
    except struct.error:
        return None
    return None


def _after_certificate(data: bytes, at: int, version: int) -> int:
    at += 2 + int(struct.unpack_from(">H", data, at)[0]) + 8  # its alias, and a time
    if version == 2:
        at += 2 + int(struct.unpack_from(">H", data, at)[0])  # its type
    return at + 4 + int(struct.unpack_from(">I", data, at)[0])
