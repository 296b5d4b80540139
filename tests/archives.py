"""Archives that tests have made or recorded themselves."""

import tarfile
from pathlib import Path


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract all of *archive* into *folder*. Python before 3.11.4 has no filter for it, such as that of Debian 12."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
    else:
        archive.extractall(folder)
