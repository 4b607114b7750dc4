"""The worker process of the `math` grader: reads pairs of LaTeX expressions, says whether their values are equal.

LaTeX is parsed by latex2sympy's grammar, never by Python's (`sympify` and `parse_expr` evaluate code). Numbers are
compared with 60 digits, expressions in variables at fixed points; relations and sets by math-verify. The parent kills
this process when it takes too long, so nothing here sets an alarm.
"""

from __future__ import annotations

import logging
import os
import re
import resource
import sys
from typing import Any

import msgspec
import sympy
from latex2sympy2_extended import latex2sympy
from math_verify import verify
from math_verify.grader import should_treat_as_complex

from publisher.graders.math.pool import Reply

_MEMORY = 2 << 30
_IMAGINARY = re.compile(r"(?<![A-Za-z\\])i(?![A-Za-z])")
_DIGITS = 60
_TINY = sympy.Float("1e-45")
_POINTS = (("0.7391", "1.2207"), ("2.3719", "0.8183"), ("-1.4142857", "0.6931"), ("5.0317", "-0.3217"))


def decide(gold: str, given: str) -> Reply:
    """Return whether `given` has the value of `gold`."""
    real = not any(_IMAGINARY.search(side) or should_treat_as_complex(side) for side in (gold, given))
    try:
        wanted = _read(gold, real=real)
    except Exception as error:  # noqa: BLE001 - the parser raises whatever it likes
        return Reply("failed", f"cannot read the expected answer {gold[:80]!r}: {type(error).__name__}")
    try:
        value = _read(given, real=real)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - an answer that no parser reads is no answer
        return Reply("unreadable", f"not readable as mathematics ({type(error).__name__})")
    return Reply("equal" if _equal(wanted, value) else "different")


def _read(text: str, *, real: bool) -> Any:
    parsed = latex2sympy(text, is_real=real, convert_degrees=False, normalization_config=None)
    return parsed if real else parsed.subs({symbol: sympy.I for symbol in parsed.free_symbols if symbol.name == "i"})


def _equal(wanted: Any, value: Any) -> bool:
    """Compare two parsed answers: values numerically, everything else by math-verify."""
    if isinstance(wanted, sympy.Expr) and isinstance(value, sympy.Expr):
        return _same_value(wanted.doit(), value.doit())
    return bool(
        verify(
            wanted,
            value,
            float_rounding=30,
            numeric_precision=30,
            strict=True,
            allow_set_relation_comp=True,
            timeout_seconds=None,
        )
    )


def _same_value(wanted: sympy.Expr, value: sympy.Expr) -> bool:
    """Return whether two expressions agree to 45 digits at every point where both are defined."""
    symbols = sorted(wanted.free_symbols | value.free_symbols, key=str)
    if not symbols:
        return _near(wanted, value, {}) is True
    answers = []
    for number, (start, step) in enumerate(_POINTS):
        place = {
            symbol: sympy.Rational(start) + (index + number) * sympy.Rational(step)
            for index, symbol in enumerate(symbols)
        }
        answers.append(_near(wanted, value, place))
    return False not in answers and answers.count(True) >= 2


def _near(left: sympy.Expr, right: sympy.Expr, place: dict[Any, Any]) -> bool | None:
    """Return whether two expressions agree to 45 digits at `place`; None where one is not defined there."""
    if left == right:
        return True
    values = [side.evalf(_DIGITS, subs=place) for side in (left, right)]
    if any(not side.is_number or side.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) for side in values):
        return None
    distance, size = sympy.Abs(values[0] - values[1]), sympy.Abs(values[0])
    return bool(sympy.N(distance, 20) <= _TINY * (1 + sympy.N(size, 20)))


def main() -> None:
    """Answer questions from standard input until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(4000)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    answers.write(msgspec.json.encode(Reply("ready")) + b"\n")
    for line in sys.stdin.buffer:
        gold, given = msgspec.json.decode(line, type=tuple[str, str])
        try:
            reply = decide(gold, given)
        except Exception as error:  # noqa: BLE001 - said to the parent, which counts it as an error
            reply = Reply("failed", type(error).__name__)
        answers.write(msgspec.json.encode(reply) + b"\n")


if __name__ == "__main__":
    main()
