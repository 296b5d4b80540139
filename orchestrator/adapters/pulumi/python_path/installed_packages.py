"""What `pip list -v --format json` prints, without pip.

Pulumi's language host runs this command before each operation, to find the packages that bring a plugin. pip needs
0.2 s of a processor for it, most of it to start.
"""
# ruff: noqa: INP001, PTH118 - as `sitecustomize` beside it, which calls it

import json
import os
import sys


def print_packages(places: "list[str]") -> bool:
    """Print the packages in the folders *places*. Returns whether that was done: only pip knows other forms."""
    found: dict[str, dict[str, str]] = {}
    for place in dict.fromkeys(places):
        try:
            names = sorted(os.listdir(place))  # noqa: PTH208
        except OSError:  # an archive, or nothing
            if os.path.isfile(place):  # noqa: PTH113
                return False
            continue
        for name in names:
            if name.endswith((".egg-info", ".egg-link", ".egg")):
                return False
            if name.endswith(".dist-info"):
                package = _read(place, name)
                if package is None:
                    return False
                found.setdefault(package["name"].lower().replace("_", "-").replace(".", "-"), package)
    sys.stdout.write(json.dumps(list(found.values())) + "\n")
    sys.stdout.flush()
    return True


def _read(place: str, name: str) -> "dict[str, str] | None":
    """The name, the version and the folder of the package that the folder *name* in *place* describes."""
    fields: dict[str, str] = {}
    try:
        with open(os.path.join(place, name, "METADATA"), encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                key, colon, value = line.partition(":")
                if not colon or ("name" in fields and "version" in fields):
                    break
                if key.lower() in {"name", "version"}:
                    fields[key.lower()] = value.strip()
    except (OSError, ValueError):
        return None
    return {**fields, "location": place} if len(fields) == 2 else None
