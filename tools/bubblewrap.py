"""Put bubblewrap into the user's cache for the tests of isolated hosts, where this machine does not have it.

Standard library only. The distribution's package is unpacked and not installed: whether loopback hosts are isolated
stays the machine's own choice. Nothing fails here: what cannot be obtained is printed, and its tests are skipped.
Usage: python3 tools/bubblewrap.py
"""

import shutil
import sys
from pathlib import Path

if __name__ == "__main__":  # as a script it finds its neighbour only by its own folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.debian_programs import PROGRAMS, obtain


def main() -> int:
    """Obtain bubblewrap once, and print why it is missing otherwise."""
    if shutil.which("bwrap") is None and not cached().is_file():
        reason = obtain("bwrap")
        if reason:
            print(f"· bubblewrap: {reason}; the tests of isolated hosts are skipped", flush=True)
    return 0


def cached() -> Path:
    """The program in the cache: `~/.cache/orchestrator/bubblewrap/usr/bin/bwrap`."""
    return PROGRAMS["bwrap"].cached


if __name__ == "__main__":
    sys.exit(main())
