"""Programs: whether they parse, how long and how complex they are, what they call things, and who explains them.

Run as a program, it is the confined process that answers [text, program]: a parser meets whatever a model wrote.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from publisher.graders.worker import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_SNAKE = re.compile(r"_{0,2}[a-z][a-z0-9_]*_{0,2}|[A-Z][A-Z0-9_]*")
_CAPS = re.compile(r"_?[A-Z][A-Za-z0-9]*")
ENOUGH_WORDS = 10


def measure(text: str, program: str) -> dict[str, float]:
    """Return the measures of a completion with this program; shares are from 0 to 1."""
    tree = parsed(program)
    found: dict[str, float] = {"syntax-ok": float(tree is not None), "code-lines": float(lines(program))}
    found["completeness"] = explained(text, program, tree)
    if tree is not None:
        found["complexity"] = complexity(tree)
        names = list(bound(tree))
        if names:
            found["naming"] = sum(_is_good(name, loose=loose) for name, loose in names) / len(names)
    return found


def parsed(program: str) -> ast.Module | None:
    """Return a program's tree, or that of a function's body that continues a head; None where it does not parse."""
    for source in (program, f"def _():\n{program}"):
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def lines(program: str) -> int:
    """Return how many lines are neither blank nor a comment."""
    return sum(1 for line in program.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def explained(text: str, program: str, tree: ast.Module | None) -> float:
    """Return 1 where words before the first block of code explain it, 0.5 where only comments or docstrings do."""
    fence = _FENCE.search(text)
    if fence and len(_WORD.findall(text[: fence.start()])) >= ENOUGH_WORDS:
        return 1.0
    comments = any(line.lstrip().startswith("#") for line in program.splitlines())
    return 0.5 if comments or (tree is not None and any(map(_has_docstring, ast.walk(tree)))) else 0.0


def _has_docstring(node: ast.AST) -> bool:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None


def complexity(tree: ast.Module) -> float:
    """Return the highest cyclomatic complexity of the program's functions, or of the program where it has none."""
    from radon.visitors import ComplexityVisitor  # noqa: PLC0415 - only suites of programs need it

    visitor = ComplexityVisitor.from_ast(tree)
    blocks = [block.complexity for block in (*visitor.functions, *(m for c in visitor.classes for m in c.methods))]
    return float(max(blocks, default=visitor.complexity))


def bound(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yield each name that a program binds, and whether a single letter will do there."""
    loose: set[int] = set()
    for node in ast.walk(tree):
        targets: list[ast.AST] = []
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            targets = [node.target]
        elif isinstance(node, ast.Lambda):
            targets = [*node.args.args]
        loose |= {id(inner) for target in targets for inner in ast.walk(target)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "_":
            yield node.name, False
        elif isinstance(node, ast.ClassDef):
            yield f"class {node.name}", False
        elif isinstance(node, ast.arg):
            yield node.arg, id(node) in loose
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, id(node) in loose


def _is_good(name: str, *, loose: bool) -> bool:
    """Return whether a name has PEP 8's form and says something."""
    if name.startswith("class "):
        return bool(_CAPS.fullmatch(name.removeprefix("class ")))
    return (bool(_SNAKE.fullmatch(name)) and (loose or len(name.strip("_")) > 1)) or (loose and name == "_")


if __name__ == "__main__":
    serve(lambda question: measure(*question))
