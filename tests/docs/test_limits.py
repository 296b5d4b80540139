"""The limits on modules and functions are measured as they are written down."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("limits_check", ROOT / "tools" / "limits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


limits = _load()


def _function(text: str) -> ast.FunctionDef:
    found = ast.parse(text).body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f():\n    pass\n", 2),
        ('def f():\n    """Text.\n\n    More.\n    """\n    pass\n', 2),
        ("def f():\n    # why\n\n    return 1  # because\n", 2),
        ('def f():\n    return """\n    a\n    """\n', 4),
    ],
)
def test_only_code_counts(text: str, expected: int) -> None:
    """Comments, docstrings and empty lines are no code; the lines of another text are."""
    assert limits.length(_function(text), limits.code_lines(text)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1", 1),
        ("if a and b or c: pass", 4),
        ("return [x for x in y if x]", 3),
        ("try: pass\n    except A: pass\n    except B: pass", 3),
        ("while a: b = c if d else e", 3),
        ("def g():\n        if a: pass", 2),
    ],
)
def test_each_decision_counts(body: str, expected: int) -> None:
    """Branches, loops, handlers, boolean operators and conditions of comprehensions are decisions."""
    assert limits.complexity(_function(f"def f():\n    {body}\n")) == expected


def test_what_exceeds_a_limit_is_found() -> None:
    """A module, a function and its complexity are each found when they exceed their limit, except in a catalogue."""
    text = "def f():\n" + "    if a: pass\n" * 401
    what = {"lines": 402, "lines of code": 402, "complexity": 402}
    assert {item.what: item.figure for item in limits.check("orchestrator/x.py", text)} == what
    assert [item.what for item in limits.check("orchestrator/domain/codes/x.py", text)] == [
        "lines of code",
        "complexity",
    ]


def test_a_figure_may_fall_and_not_rise() -> None:
    """An allowed figure holds until it is exceeded, and is removed from the list once it falls."""
    found = [limits.Finding("x.py f", "complexity", 17, 15)]
    assert limits.judged(found, {"x.py f: complexity": 17}) == []
    assert limits.judged(found, {}) == ["x.py f: complexity 17 (at most 15)"]
    assert limits.judged(found, {"x.py f: complexity": 16}) == ["x.py f: complexity 17 (at most 15)"]
    (stale,) = limits.judged([], {"x.py f: complexity": 17})
    assert "limits.yaml" in stale
