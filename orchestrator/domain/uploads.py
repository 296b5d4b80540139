"""Uploads of packages to a server: parts in their order, of which the server keeps what has arrived."""

import re
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.errors import OrchestratorError

UPLOAD_KEPT_FOR = timedelta(hours=24)
"""After which an unfinished upload is removed."""
LARGEST_PACKAGE = 4 * 1024**3
"""Bytes of the largest package that a server accepts."""
RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


@dataclass(frozen=True)
class UploadPart:
    """The place of a part in a file of *total* bytes: from the byte *start*, before the byte *end*."""

    start: int
    end: int
    total: int

    @property
    def is_last(self) -> bool:
        """Whether the file is whole after it."""
        return self.end == self.total


def parse_content_range(text: str, length: int) -> UploadPart:
    """The part that a header Content-Range names, of a body with *length* bytes. Raises N110 and N142."""
    found = RANGE.fullmatch(text.strip())
    if found is None:
        raise OrchestratorError("N110", "Content-Range: a range such as `bytes 0-499/1234` is needed")
    first, last, total = (int(each) for each in found.groups())
    if last < first or last >= total or last - first + 1 != length:
        raise OrchestratorError("N110", f"Content-Range: {text.strip()} does not fit a body of {length} bytes")
    if total > LARGEST_PACKAGE:
        raise OrchestratorError("N142", f"the package has {total} bytes, and {LARGEST_PACKAGE} are possible")
    return UploadPart(first, last + 1, total)


def wrong_offset(expected: int, start: int) -> OrchestratorError:
    """The error for a part that does not continue an upload."""
    return OrchestratorError("N141", f"the upload continues at byte {expected}, and not at {start}")


def judges_content(error: OrchestratorError) -> bool:
    """Whether *error* is about the content of an upload. After an error of a store (S-codes) nothing is known of it."""
    return not error.code.startswith("S")
