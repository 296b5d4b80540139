"""Forms with files (RFC 7578), as browsers send them."""

import base64
import re

from orchestrator.domain.errors import OrchestratorError

LARGEST_UPLOAD = 1000 * 1024
"""Bytes of a form with files."""
MOST_PARTS = 100
BOUNDARY = re.compile(r'multipart/form-data; *boundary="?([!-~]{1,70}?)"?', re.IGNORECASE)
PARAMETER = re.compile(r'[;\s](name|filename)="([^"]*)"')
NAME_SUFFIX = ".name"
"""Behind the field of a file: the field with its name."""


def boundary_of(content_type: str) -> str | None:
    """The boundary of a form with files; None for another form."""
    found = BOUNDARY.fullmatch(content_type)
    return found[1] if found is not None else None


def multipart_fields(body: bytes, boundary: str) -> dict[str, str]:
    """The fields of a form. A file is in base64, numbered behind its field, with its name (`files.0`, `files.0.name`).

    A file that was not chosen is left out. Raises N110.
    """
    opening, *parts = (b"\r\n" + body).split(f"\r\n--{boundary}".encode())
    if not parts or not parts[-1].startswith(b"--") or len(parts) > MOST_PARTS or opening.strip():
        raise OrchestratorError("N110", "the form cannot be read")
    fields: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for part in parts[:-1]:
        head, empty, data = part.partition(b"\r\n\r\n")
        about = _about(head) if empty else {}
        name = about.get("name")
        if name is None:
            raise OrchestratorError("N110", "the form has a part without a name")
        if "filename" not in about:
            fields[name] = data.decode("utf-8", "replace")
        elif about["filename"]:
            number = numbers[name] = numbers.get(name, -1) + 1
            fields[f"{name}.{number}"] = base64.b64encode(data).decode()
            fields[f"{name}.{number}{NAME_SUFFIX}"] = about["filename"]
    return fields


def _about(head: bytes) -> dict[str, str]:
    """The parameters of a part. Browsers write quotes and line breaks in them as `%22`, `%0D` and `%0A`."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        if line.lower().startswith("content-disposition:"):
            found = PARAMETER.findall(line)
            return {name: value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n") for name, value in found}
    return {}


def form_files(fields: dict[str, str], name: str) -> list[tuple[str, str]]:
    """The names of the files in the field *name*, each with its bytes in base64."""
    numbered = (f"{name}.{number}" for number in range(MOST_PARTS))
    return [(fields[f"{key}{NAME_SUFFIX}"], fields[key]) for key in numbered if f"{key}{NAME_SUFFIX}" in fields]
