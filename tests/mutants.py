"""Small mistakes in a program, as a careless programmer makes them: another operator, off by one, no return value."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPERATORS: dict[type, Any] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(source: str, function: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, program) for each kind of mistake that can be made in a function of `source`, made once."""
    for kind in ("operator", "off by one", "return"):
        tree = ast.parse(source)
        body = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function)
        if any(_mistaken(kind, node) for node in ast.walk(body)):
            yield kind, ast.unparse(ast.fix_missing_locations(tree))


def _mistaken(kind: str, node: ast.AST) -> bool:
    """Make the mistake in `node` if it can be made there, and return whether it was."""
    if kind == "operator":
        return _other_operator(node)
    if kind == "off by one" and isinstance(node, ast.Constant) and type(node.value) is int:
        node.value += 1
        return True
    if kind == "return" and isinstance(node, ast.Return) and node.value is not None:
        node.value = ast.Constant(None)
        return True
    return False


def _other_operator(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OPERATORS:
        node.ops[0] = _OPERATORS[type(node.ops[0])]()
        return True
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _OPERATORS:
        node.op = _OPERATORS[type(node.op)]()
        return True
    return False
