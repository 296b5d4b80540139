"""Compile a program's sources under the names that they have by hand. Python imports this module at its start.

The engine runs a copy of the program. Code objects hold the path of their source, and Pulumi keeps a dynamic provider
as a pickle of its code, so the copy would count as a change of the provider. Tracebacks name the user's files, too.

The engine also queries the installed packages, in a process of its own, which prints them without pip.
"""
# ruff: noqa: INP001, PTH100, PTH120 - it lies in a folder of its own on the path, and starts with as few imports as it can

import contextlib
import importlib
import os
import sys
from importlib.machinery import SourceFileLoader
from typing import Any

_here = os.path.dirname(os.path.abspath(__file__))
_copy, _project = os.environ.pop("ORCHESTRATOR_COPY", ""), os.environ.pop("ORCHESTRATOR_ORIGINAL", "")
_compile = SourceFileLoader.source_to_code


def _source_to_code(self: SourceFileLoader, data: Any, path: Any, **options: Any) -> Any:
    if _copy and isinstance(path, str) and path.startswith(_copy + os.sep):
        path = _project + path[len(_copy) :]
    return _compile(self, data, path, **options)


SourceFileLoader.source_to_code = _source_to_code  # type: ignore[method-assign,assignment]

if getattr(sys, "orig_argv", [])[1:] == ["-m", "pip", "list", "-v", "--format", "json"]:  # of Pulumi's language host
    from installed_packages import print_packages  # type: ignore[import-not-found]

    if print_packages([path for path in sys.path if os.path.abspath(path) != _here]):
        os._exit(0)

# The program sees the path and the environment that it has by hand, and a `sitecustomize` of its own comes next.
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _here]
_left = [path for path in os.environ.pop("PYTHONPATH", "").split(os.pathsep) if path and os.path.abspath(path) != _here]
if _left:
    os.environ["PYTHONPATH"] = os.pathsep.join(_left)
_own = sys.modules.pop("sitecustomize")
with contextlib.suppress(ImportError):
    importlib.import_module("sitecustomize")
sys.modules.setdefault("sitecustomize", _own)  # the import system needs to find it after this module has run
