r"""Cases of our own, `answer | expected`; the statements of public sets are not copied here."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from publisher.graders import GRADERS, Grade, grade
from publisher.graders.extract import final_answer
from publisher.graders.math import rationals
from publisher.graders.math.grader import MathGrader

RIGHT = r"""
42 | 042
42. | 42
+42 | 42
~42~ | 42
42\\ | 42
\text{42} | 42
\mathbf{42} | 42
\color{blue}{42} | 42
**42** | 42
42.00 | 42
\$1{,}800.50 | 1800.5
1,000,000 | 10^6
1\,000 | 1000
1.5e3 | 1500
6.0\times 10^{-2} | 0.06
x = 42 | 42
\angle ABC = 60^\circ | 60
P(A) = \frac{1}{6} | \frac16
a_1 = 3 | 3
½ | 0.5
3½ | \frac{7}{2}
−\frac12 | -0.5
√6 | \sqrt{6}
2√3 | 2\sqrt{3}
6π | 6\pi
90° | 90
0.\overline{142857} | \frac17
0.1\overline{6} | \frac16
7\frac12 | 7.5
\frac{5!}{3!} | 20
2^10 | 1024
\dfrac{1}{1+\frac{1}{2}} | \frac23
\sqrt[3]{8} | 2
12\% | 0.12
45\% | 45
12\text{ cm}^2 | 12
25 km/h | 25
\text{42 apples} | 42
1\frac{1}{2}\text{ hours} | 1.5
\text{(B)} | B
B | (B)
\textbf{(B)} 17 | \text{(B)}
\text{yes} | \text{Yes}
Monday | \text{Monday}
3:4 | 3:4
\{2, 1\} | 1, 2
1 \text{ or } 2 | 1, 2
x=1, x=2 | 1, 2
\pm 3 | -3, 3
\frac{-1\mp\sqrt{17}}{2} | \frac{-1+\sqrt{17}}{2}, \frac{-1-\sqrt{17}}{2}
(x,y)=(1,2) | (1,2)
x \in [0,1] | [0,1]
(2,\infty)\cup(-\infty,1) | (-\infty, 1) \cup (2, \infty)
x\leq 3 | (-\infty, 3]
1 < x < 2 | (1,2)
\{\} | \emptyset
∅ | \varnothing
\begin{bmatrix}1&0\\0&1\end{bmatrix} | \begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}
\sqrt{12} | 2\sqrt{3}
\frac{\pi-2}{\pi} | 1-\frac{2}{\pi}
\ln 8 | 3\ln 2
\sin 30^\circ | 0.5
e^{i\pi} | -1
\sqrt{-4} | 2i
2x^2+3x | x(2x+3)
\frac{x^2-1}{x-1} | x+1
f(x)=2x+1 | 2x+1
2x-y+1=0 | y=2x+1
\sum_{k=1}^{10} k | 55
10110_2 | 10110_{2}
{5 \choose 2} | 10
7 \pmod{11} | 7
(1,2), (3,4) | (3,4), (1,2)
1 cm | 1\text{ centimeters}
\text{i} | i
"""
WRONG = r"""
41 | 42
-42 | 42
4 2 | 42
42... | 42
42\text{ or so} | 42
\text{not } 42 | 42
> 42 | 42
42x | 42
42_5 | 42
41=42 | 42
1=2=3=42 | 42
42 or 43 | 42
42, 43 | 42
42\pm 1 | 42
\{42\} | 42
42! | 42
\frac{1}{0} | 42
41.999999999999999 | 42
123456789012345678 | 123456789012345679
0.3333333333 | \frac13
0.363380 | 1-\frac{2}{\pi}
18.85 | 6\pi
2.718281828 | e
12\text{ cm}^2 | 12\text{ cm}^3
5\text{ m} | 5\text{ cm}
5 feet 3 inches | 5
0.5\% | 50\%
10,00 | 1000
1, 234 | 1234
B | C
\text{No} | Yes
(2,1) | (1,2)
(0,1) | [0,1]
1,2 | 1,2,3
1,2,3,4 | 1,2,3
3 | \pm 3
\begin{pmatrix}1&0\\0&2\end{pmatrix} | \begin{pmatrix}1&0\\0&1\end{pmatrix}
x^2 | x^3
\frac{a+b}{2} | \frac{b-a}{2}
y=2x+2 | y=2x+1
-\infty | \infty
True | 1
2517_8 | 2517_9
__import__("os").system("touch /tmp/owned") | 42
\text{any number} | 42
"""
UNMANAGEABLE = r"""
9^{9^{9^9}}
10^{10^{10}}
((10!)!)!
\binom{1000000000}{500000000}
\sin(10^{10^{10}})
x^{x^{x^{x^x}}}
\int_0^1 \frac{\sin(x^x)}{\ln(1+x^7)} dx
\sum_{n=1}^{1000000000} \frac{1}{n^3}
"""
NOISE = r"""
\frac { } ( ) [ ] 1 . , ~ \text x + ^ _ = < \{ \} \sqrt \over \pm \cup % $ \ ! & ½ ² \begin{pmatrix} e
"""


def pairs(table: str) -> list[tuple[str, str]]:
    """Return the (answer, expected) pairs of a table."""
    return [(line.split(" | ")[0], line.split(" | ")[1]) for line in table.strip().splitlines()]


@pytest.fixture(scope="module")
def math() -> Iterator[MathGrader]:
    """Return one grader, so that its worker processes start once."""
    with MathGrader() as grader:
        yield grader


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"So \boxed{41}, no: \boxed{42}.", "42"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right\}} and more } text {", r"\left\{ x \right\}"),
        (r"\boxed {42}", "42"),
        (r"\boxed 42.", "42"),
        (r"\fbox{42}", "42"),
        (r"\boxed{42}. I was asked to use \boxed{}.", "42"),
        (r"<think>\boxed{1}</think> \boxed{42}", "42"),
        (r"\boxed{1}</think>\boxed{42}", "42"),
        (r"<think>a </think> b \boxed{1}</think> \boxed{42}", "42"),
        (r"\boxed{42}<|im_end|>\boxed{5}", "42"),
        (r"\boxed{42}</s> \boxed{5", "42"),
        ("{" * 100_000 + r"\boxed{42}", "42"),
        (r"\boxed{42} " + "[ " * 100_000, "42"),
    ],
)
def test_the_last_box_of_the_reply_is_the_answer(text: str, answer: str) -> None:
    """Thoughts, earlier boxes, echoes of the instruction and what follows the end of the text do not count."""
    assert final_answer(text) == (answer, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("The answer is 42.", "no box"),
        ("", "no box"),
        (r"as \boxed{}", "only empty boxes"),
        (r"first \boxed{41} then \boxed{42", "the last box is not closed"),
        (r"so \boxed", "the last box is not closed"),
        (r"\boxed{42\}", "the last box is not closed"),
        (r"<think>so \boxed{42}", "the thoughts were never closed"),
        (r"\boxed{42}<think>hm", "the thoughts were never closed"),
        (r"<think>\boxed{42}</think>", "no box"),
    ],
)
def test_a_missing_answer_is_never_made_up(text: str, why: str) -> None:
    """A box that was cut off, or stands in the thoughts only, is no answer, and no earlier one takes its place."""
    assert final_answer(text) == (None, why)


def test_running_out_of_tokens_is_truncated_whatever_was_said(math: MathGrader) -> None:
    """A box before the limit may be a guess that was being revised."""
    assert grade(math, r"\boxed{42}", "42", "length").outcome == "truncated"


@pytest.mark.parametrize(("answer", "expected"), pairs(RIGHT))
def test_equal_answers_are_right(math: MathGrader, answer: str, expected: str) -> None:
    """Different spellings of one value are the same answer."""
    assert grade(math, rf"So \boxed{{{answer}}}.", expected, "stop") == Grade("right", answer.strip(), "")


@pytest.mark.parametrize(("answer", "expected"), pairs(WRONG))
def test_different_answers_are_wrong(math: MathGrader, answer: str, expected: str) -> None:
    """Near misses, hedges, other shapes, other units and code are wrong, and nothing is an error."""
    assert grade(math, rf"So \boxed{{{answer}}}.", expected, "stop").outcome == "wrong"
    assert not Path("/tmp/owned").exists()  # noqa: S108 - what the injected code would make


@pytest.mark.parametrize("answer", UNMANAGEABLE.strip().splitlines())
def test_what_nobody_can_evaluate_is_wrong_by_its_form(math: MathGrader, answer: str) -> None:
    """The outcome comes at once and with a reason, so it cannot depend on how busy the machine is."""
    begun = time.monotonic()
    found = math.compare(answer, "42")
    assert (found.outcome, found.reason != "") == ("wrong", True)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("length", [2001, 1_000_000])
def test_an_endless_answer_is_wrong_at_once(math: MathGrader, length: int) -> None:
    """Two thousand characters are enough for any answer."""
    assert math.compare("9" * length, "42").reason == "longer than 2000 characters"


def test_noise_is_wrong_and_never_an_error(math: MathGrader) -> None:
    """Random pieces of notation neither break a grader nor hit the answer by chance, however long they are."""
    pieces = NOISE.split()
    source = random.Random(1)  # noqa: S311 - makes test cases, not secrets
    texts = ["".join(source.choices(pieces, k=source.randint(1, 12))) for _ in range(300)]
    texts += [(piece * 2000)[:2000] for piece in pieces]
    with GRADERS["integer"]() as integers:
        for text in texts:
            assert math.compare(text, "42").outcome == "wrong", text
            assert integers.compare(text, "42").outcome == "wrong", text


def test_text_that_reads_in_another_order_is_refused(math: MathGrader) -> None:
    """A right-to-left override shows 24 as 42; a character without any mark is only dropped."""
    assert math.compare("\u202e24", "42").reason == "bidirectional control characters"
    assert math.compare("4\u200b2\x00", "42").outcome == "right"


def test_an_expected_answer_that_cannot_be_read_is_an_error(math: MathGrader) -> None:
    """A defect of the suite is not the model's fault."""
    found = math.compare("x+1", r"\frac{")
    assert (found.outcome, "cannot read the expected answer" in found.reason) == ("error", True)


@pytest.mark.parametrize("answer", [r"5 \mod 0", r"i \mod 0"])
def test_an_answer_that_breaks_the_algebra_is_wrong(math: MathGrader, answer: str) -> None:
    """An exception is the given side's fault as long as the expected answer can be evaluated by itself."""
    assert math.compare(answer, r"\sqrt{2}").outcome == "wrong"


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("025", "25", True),
        ("25", "025", True),
        ("+7", "7", True),
        (r"\text{070}", "70", True),
        ("25.", "25", True),
        ("25.0", "25", True),
        ("m = 25", "25", True),
        ("1,000", "1000", True),
        ("２５", "25", True),
        ("-25", "25", False),
        ("2.5", "25", False),
        ("0.25", "25", False),
        (r"\frac{50}{2}", "25", False),
        ("2 5", "25", False),
        ("25, 26", "25", False),
        (r"5^2", "25", False),
        ("x", "25", False),
        ("9" * 5000, "25", False),
    ],
)
def test_the_integer_grader_takes_whole_numbers_only(answer: str, expected: str, right: bool) -> None:
    """Leading zeros do not count, and nothing is calculated."""
    with GRADERS["integer"]() as grader:
        assert (grader.compare(answer, expected).outcome == "right") == right


@pytest.mark.parametrize(
    ("text", "right"),
    [(r"\boxed{Paris}", True), ("I think:\n Paris \n", True), ("paris", False), ("Paris, France", False), ("", False)],
)
def test_the_exact_grader_compares_strings(text: str, right: bool) -> None:
    """Without a box the last line is the answer; capitals count."""
    with GRADERS["exact"]() as grader:
        assert (grade(grader, text, "Paris", "stop").outcome == "right") == right


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2^2", Fraction(-4)),
        ("2^{-3}", Fraction(1, 8)),
        ("2^3^2", Fraction(512)),
        ("(1+2)(3)", Fraction(9)),
        (r"\frac{1}{2}\cdot 4", Fraction(2)),
        ("8/2/2", Fraction(2)),
        ("1-2-3", Fraction(-4)),
        ("--4", Fraction(4)),
        ("3!^2", Fraction(36)),
        (r"\sqrt{\frac{9}{4}}", Fraction(3, 2)),
        (r"27^{\frac{2}{3}}", Fraction(9)),
        (r"\binom{5}{2}", Fraction(10)),
        ("1.5e-3", Fraction(3, 2000)),
        (r"0.\overline{3}", Fraction(1, 3)),
    ],
)
def test_rational_expressions_have_exact_values(text: str, value: Fraction) -> None:
    """Precedence, associativity and roots follow the usual rules."""
    assert rationals.value(text) == value


@pytest.mark.parametrize("text", ["", "x", "2x", r"\sqrt{2}", "(1", "1)", "1+", "e", r"\pi", r"\frac{1}"])
def test_a_text_that_is_not_a_rational_number_has_no_value(text: str) -> None:
    """Irrational values, variables and broken expressions have no value here."""
    with pytest.raises(rationals.NotRational):
        rationals.value(text)


def test_the_grading_cases_keep_their_counts(
    shared: Path, math: MathGrader, capsys: pytest.CaptureFixture[str]
) -> None:
    """The confusion counts on the public cases are the ones that were reached, or better."""
    counts: Counter[tuple[bool, str]] = Counter()
    for line in (shared / "data" / "grading_cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        found = grade(math, case["prediction"], case["gold"], "stop")
        counts[case["expected"], found.outcome] += 1
    with capsys.disabled():
        print(f"\ngrading cases: {dict(counts)}")  # noqa: T201 - the counts are what this test is read for
    rejected = counts.total() - counts[True, "right"] - sum(n for (expected, _), n in counts.items() if not expected)
    assert counts[False, "right"] == 0
    assert rejected == 0
    assert counts[False, "error"] == 0


@pytest.mark.parametrize("name", ["aime24", "aime25", "hmmt_feb_2025", "gsm8k_test"])
def test_every_expected_answer_equals_itself_in_other_spellings(shared: Path, math: MathGrader, name: str) -> None:
    """Spacing, braces and decoration around a published answer change nothing."""
    for line in (shared / "data" / f"{name}.jsonl").read_text().splitlines():
        answer = str(json.loads(line)["answer"])
        for spelling in (answer.replace(" ", ""), rf"\displaystyle {{{answer}}}.", rf"x = {answer}"):
            found = math.compare(spelling, answer)
            assert found.outcome == "right", (name, answer, spelling, found)
