"""The codes of errors in our code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import orchestrator
from orchestrator.domain import error_codes
from orchestrator.domain.errors import catalogue

CODE = re.compile(r"[A-Z]\d{3}")
ROOT = Path(orchestrator.__file__).parent


def _literals(node: ast.AST) -> Iterator[str]:
    return (
        found.value
        for found in ast.walk(node)
        if isinstance(found, ast.Constant) and isinstance(found.value, str) and CODE.fullmatch(found.value)
    )


def _compared(text: str) -> list[str]:
    """The lines of *text* that compare with the code of an error, with that code."""
    kinds = (ast.Compare, ast.MatchValue)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return [f"{node.lineno}: {code}" for node in nodes for code in _literals(node)]


def test_no_code_compares_with_a_literal_error_code() -> None:
    """What depends on the code of an error names the code by its constant."""
    found = {str(path.relative_to(ROOT)): _compared(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}
    assert not {path: lines for path, lines in found.items() if lines}


def test_a_literal_error_code_in_a_comparison_is_found() -> None:
    """Equality, membership, a default in a comparison and a case are comparisons; a call is not."""
    assert _compared('if error.code == "R205": pass') == ["1: R205"]
    assert _compared('x = code in {"D102", "D120"}') == ["1: D102", "1: D120"]
    assert _compared('x = data.get("code", "D140") == code') == ["1: D140"]
    assert _compared('match code:\n    case "R205": pass') == ["2: R205"]
    assert not _compared('raise OrchestratorError("R205", message)')


def test_every_named_code_is_one_of_the_catalogue() -> None:
    """Each constant for an error code has a code of its own, which the catalogue explains."""
    codes = [value for name, value in vars(error_codes).items() if name.isupper()]
    assert set(codes) <= set(catalogue())
    assert len(codes) == len(set(codes))
