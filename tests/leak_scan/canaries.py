"""Values that must be found nowhere, and how each may be written down: by code of its own, not by that of the filter."""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

KINDS = ("output", "nested", "lines", "config", "inventory", "package", "variable", "file")
"""Where a value comes from: a secret output, a part of one, one with several lines, secret configuration, vaults of the
inventory and of the package, a declared variable, and a controller file that is marked as secret."""
ENCODINGS = ("raw", "base64", "url", "json", "hex")
SPECIAL = '/"+\\ é&<'


@dataclass(frozen=True)
class Canary:
    """One value of one kind."""

    kind: str
    value: str

    def forms(self) -> Iterator[tuple[str, bytes]]:
        """Each encoding, with the text by which a scan finds it also within a longer text."""
        data = self.value.encode()
        yield "raw", data
        yield from (("raw", line) for line in data.splitlines() if len(line) > 8 and b"-----" not in line)
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + data)
            yield "base64", text[(shift * 8 + 5) // 6 : (shift + len(data)) * 8 // 6]
        yield "url", quote(self.value, safe="").encode()
        for ascii_only in (True, False):
            yield "json", json.dumps(self.value, ensure_ascii=ascii_only)[1:-1].encode()
        yield "hex", data.hex().encode()
        yield "hex", data.hex().upper().encode()


def made() -> dict[str, Canary]:
    """A canary of each kind; that of a file is what the playbook generates, and is read from there later."""
    found = {}
    for kind in KINDS[:-1]:
        body = f"canary-{kind}-{secrets.token_hex(8)}"
        if kind == "lines":
            rows = [f"{secrets.token_hex(24)}" for _ in range(4)]
            body = "\n".join(["-----BEGIN CANARY-----", *rows, "-----END CANARY-----"])
        elif kind not in {"variable", "config"}:  # these two are plain words of a command line or a shell
            body += SPECIAL
        found[kind] = Canary(kind, body)
    return found
