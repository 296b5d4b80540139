"""Limits on the size of what is read as a whole: lines of a module, code of a function, and its complexity.

Usage: python tools/limits.py. Comments, docstrings and empty lines do not count as code. Complexity counts the
decisions of a function: each branch, loop, handler, boolean operator, condition of a comprehension and case.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LINES, CODE, COMPLEXITY = 400, 40, 15
WHOLE = {
    "orchestrator/domain/codes": "a catalogue, which is read by searching",
    "orchestrator/ansible": "one file is sent to hosts",
}
"""The folders whose modules may be longer, and why."""
ALLOWED = yaml.safe_load((Path(__file__).parent / "limits.yaml").read_text(encoding="utf-8"))
"""What exceeds a limit today, with its figure, which may not grow; an entry that holds the limit is to be removed."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
DECISIONS = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)


@dataclass(frozen=True)
class Finding:
    """A limit that is exceeded: where, and by which figure."""

    place: str
    what: str
    figure: int
    most: int

    @property
    def key(self) -> str:
        """What the list of allowed figures calls it."""
        return f"{self.place}: {self.what}"

    def __str__(self) -> str:
        return f"{self.key} {self.figure} (at most {self.most})"


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method of a module, also those inside of others."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def code_lines(text: str) -> set[int]:
    """The numbers of the lines that have code on them."""
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    found = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in nothing:
            found.update(range(token.start[0], token.end[0] + 1))
    return found


def length(function: Function, code: set[int]) -> int:
    """The lines of code of *function* with its signature, without its docstring."""
    first = function.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    described = set(range(first.lineno, (first.end_lineno or first.lineno) + 1)) if is_text else set()
    own = range(function.lineno, (function.end_lineno or function.lineno) + 1)
    return len([number for number in own if number in code and number not in described])


def complexity(function: Function) -> int:
    """One more than the decisions in *function*, with those of functions inside of it."""
    found = 1
    for node in ast.walk(function):
        if isinstance(node, DECISIONS):
            found += 1
        elif isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            found += 1 + len(node.ifs)
    return found


def check(path: str, text: str) -> list[Finding]:
    """The limits that the module *path* with this *text* exceeds; a nested function counts for those around it too."""
    found, code = [], code_lines(text)
    if (lines := text.count("\n")) > LINES and not any(path.startswith(f"{folder}/") for folder in WHOLE):
        found.append(Finding(path, "lines", lines, LINES))
    for function in functions(ast.parse(text)):
        place = f"{path} {function.name}"
        if (size := length(function, code)) > CODE:
            found.append(Finding(place, "lines of code", size, CODE))
        if (decisions := complexity(function)) > COMPLEXITY:
            found.append(Finding(place, "complexity", decisions, COMPLEXITY))
    return found


def judged(found: list[Finding], allowed: dict[str, int]) -> list[str]:
    """The problems: what exceeds a limit and is not *allowed*, or exceeds what is, and what is allowed for nothing."""
    problems = [str(item) for item in found if item.figure > allowed.get(item.key, 0)]
    figures = {item.key: item.figure for item in sorted(found, key=lambda item: item.figure)}
    stale = [key for key, figure in allowed.items() if figures.get(key, 0) < figure]
    return problems + [f"{key}: only {figures.get(key, 'within the limit')} now; correct limits.yaml" for key in stale]


def main() -> int:
    """Print what exceeds a limit in our modules, and return the exit code."""
    files = sorted(path for path in (ROOT / "orchestrator").rglob("*.py") if "templates" not in path.parts)
    found = [item for path in files for item in check(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))]
    problems = judged(found, ALLOWED)
    for problem in problems:
        print(problem)
    print(f"limits: {len(files)} modules, {len(found)} over a limit, {len(problems)} of them not allowed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
