"""The worker process of the `math` grader: reads pairs of LaTeX expressions, says whether their values are equal.

LaTeX is parsed by latex2sympy's grammar, never by Python's (`sympify` and `parse_expr` evaluate code). Numbers are
compared with 60 digits, expressions in variables at fixed points; relations and sets by math-verify. Time and memory
are limited from outside (`publisher.graders.worker`).
"""

from __future__ import annotations

import re
import sys
from typing import Any

import sympy
from latex2sympy2_extended import latex2sympy
from math_verify import verify
from math_verify.grader import should_treat_as_complex

from publisher.graders.comparison import Reply
from publisher.graders.worker import serve

_IMAGINARY = re.compile(r"(?<![A-Za-z\\])i(?![A-Za-z])")
_DIGITS = 60
_TINY = sympy.Float("1e-45")
_POINTS = (("0.7391", "1.2207"), ("2.3719", "0.8183"), ("-1.4142857", "0.6931"), ("5.0317", "-0.3217"))


def decide(gold: str, given: str) -> Reply:
    """Return whether `given` has the value of `gold`.

    Whatever goes wrong on the given side is that side's fault; `failed` is left for what the expected answer does
    alone. Otherwise an answer could be written so that it is an error, which no score counts.
    """
    real = _is_real(gold)
    try:
        wanted = _read(gold, real=real)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the parser raises whatever it likes
        return Reply("failed", f"cannot read the expected answer {gold[:80]!r}: {type(error).__name__}")
    try:
        value = _read(given, real=real and _is_real(given))
        if real and not _is_real(given):
            wanted = _read(gold, real=False)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - an answer that no parser reads is no answer
        return Reply("unreadable", f"not readable as mathematics ({type(error).__name__})")
    return _compared(gold, wanted, value)


def _compared(gold: str, wanted: Any, value: Any) -> Reply:
    """Compare two parsed answers; where that fails, find out on which side."""
    try:
        return Reply("equal" if _equal(wanted, value) else "different")
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - so do the functions that evaluate
        name = type(error).__name__
    try:
        _equal(wanted, sympy.Integer(0))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - then the expected answer cannot be compared with anything
        return Reply("failed", f"cannot evaluate the expected answer {gold[:80]!r}: {name}")
    return Reply("unreadable", f"cannot be evaluated ({name})")


def _is_real(text: str) -> bool:
    """Return whether nothing in `text` asks for complex numbers."""
    return not (_IMAGINARY.search(text) or should_treat_as_complex(text))


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
    sys.setrecursionlimit(4000)
    serve(lambda question: decide(*question))


if __name__ == "__main__":
    main()
