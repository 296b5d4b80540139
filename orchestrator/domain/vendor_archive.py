"""An archive of the vendor of the Pulumi engine."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class VendorArchive:
    """An archive of the vendor: its *sha256* (hexadecimal), and the *file* that has it; None: it is downloaded."""

    sha256: str
    file: Path | None = None
