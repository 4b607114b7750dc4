r"""What holds of the extractor whatever a model writes: it never fails, takes linear time, and takes the last box."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publisher.graders.extract import FORMS, closing, final_answer, final_code

PIECES = (
    *(r"\boxed{", r"\fbox{", r"\boxed", "{", "}", "\\", r"\{", r"\}", "42", " ", "\n", "x"),
    *("<think>", "</think>", "<|im_end|>", "```", "```python\n", "~~~", "</s>"),
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
INSIDE = st.recursive(
    st.text(alphabet="ab1+ ", max_size=6) | st.sampled_from([r"\{", r"\}", r"\\", r"\frac"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda parts: "{" + "".join(parts) + "}"),
    max_leaves=8,
)
"""Text in which every brace that is not escaped is closed."""


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_any_text_has_an_answer_or_a_reason(text: str) -> None:
    """Never both, never neither, never an exception, in every form."""
    for name, form in FORMS.items():
        answer, why = form(text)
        assert (answer is None) == bool(why), name


@given(TEXTS, INSIDE.filter(str.strip), st.text(alphabet="ab \n.}", max_size=20))
@settings(max_examples=500, deadline=None)
def test_the_last_balanced_box_is_the_answer(before: str, inside: str, after: str) -> None:
    """Whatever stands before it, other boxes and unclosed ones included, as long as the text did not end before."""
    before = before.replace("<|im_end|>", "").replace("</s>", "").replace("<think>", "")
    text = f"{before} \\boxed{{{inside}}}{after}"
    if r"\boxed" in after or text[len(before)] != " ":
        return
    assert final_answer(text) == (inside.strip(), "")


@given(INSIDE)
@settings(deadline=None)
def test_a_brace_is_closed_by_its_own(inside: str) -> None:
    """Escaped braces are characters."""
    assert closing(f"{{{inside}}}}}", 0) == len(inside) + 1


LONG = 200_000
HEAVY = {
    "opened boxes": r"\boxed{" * (LONG // 7),
    "closed boxes": r"\boxed{1}" * (LONG // 9),
    "empty boxes": r"\boxed{}" * (LONG // 8),
    "nested boxes": r"\boxed{" * (LONG // 16) + "}" * (LONG // 16),
    "boxes of white space": r"\boxed{" + " " * LONG,
    "boxes far from their braces": (r"\boxed" + " " * 1000) * (LONG // 1000),
    "thoughts": "<think>" * (LONG // 7),
    "closed thoughts": "</think>" * (LONG // 8),
    "fences": "```\n" * (LONG // 4),
    "fences of growing length": "\n".join("`" * n for n in range(3, 600)),
    "open fences": "```python\n" * (LONG // 10) + "x",
    "one endless fence": "`" * LONG,
    "spaces": " " * LONG,
    "less than": "<" * LONG,
    "backslashes": "\\" * LONG,
    "lines": "\n" * LONG,
}


@pytest.mark.parametrize("kind", HEAVY)
def test_heavy_texts_take_linear_time(kind: str) -> None:
    """Twice the text takes about twice as long, in every form; where it took the square, this took minutes."""
    for name, form in FORMS.items():
        once, twice = (_seconds(partial(form, text)) for text in (HEAVY[kind], HEAVY[kind] * 2))
        assert once < 2, (name, once)
        assert twice < 4 * once + 0.3, name


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a call, the least of three, in which no garbage is collected."""
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=3))


@given(st.text(alphabet="ab\n ", max_size=40), st.sampled_from(["", "python", "py", "Python"]))
@settings(deadline=None)
def test_a_block_of_python_is_the_program(body: str, language: str) -> None:
    """As it stands between its fences."""
    assert final_code(f"Text\n```{language}\n{body}\n```\nmore") == (f"{body}\n", "")
