"""The metrics that every run has beside its scores: their names, units, directions and definitions.

A record carries unit and direction with each value, so it can be read without this list; rules name metrics by it.
"""

from __future__ import annotations

from typing import Literal

from publisher.schema.stored import Struct

Better = Literal["higher", "lower"]


class MetricKind(Struct, frozen=True, kw_only=True):
    """What a metric is: its unit, which way is better, and its definition in a sentence."""

    unit: str
    better: Better
    means: str


PER_SAMPLE: dict[str, MetricKind] = {
    "in-format": MetricKind(
        unit="%", better="higher", means="Answers that ended by themselves with an answer in the form that was asked."
    ),
    "empty": MetricKind(unit="%", better="lower", means="Answers with no text after their thoughts."),
    "looping": MetricKind(
        unit="%",
        better="lower",
        means="Answers whose end repeats one passage at least four times over 200 characters, or that say one line or "
        "sentence of 20 characters or more at least eight times in a row.",
    ),
    "steps": MetricKind(
        unit="steps",
        better="higher",
        means="Lines or sentences before the answer that calculate, compare, or connect one statement with another.",
    ),
    "completeness": MetricKind(
        unit="%",
        better="higher",
        means="Of working: the mean of three shares: whether two steps stand before the answer, whether the answer "
        "appears in the working before it is stated, and how many of the problem's numbers the working uses. Of code: "
        "100 where ten words or more explain it before it begins, 50 where only comments or docstrings do.",
    ),
    "in-language": MetricKind(
        unit="%", better="higher", means="Answers in the language that the suite asks for, of those with enough words."
    ),
    "syntax-ok": MetricKind(unit="%", better="higher", means="Programs that Python can parse."),
    "code-lines": MetricKind(
        unit="lines", better="lower", means="Lines of a program that are neither blank nor a comment."
    ),
    "complexity": MetricKind(
        unit="paths", better="lower", means="The highest cyclomatic complexity of a program's functions, by radon."
    ),
    "naming": MetricKind(
        unit="%",
        better="higher",
        means="Names that a program binds in PEP 8's form and with two letters or more; single letters count as good "
        "names only where a loop, a comprehension or a lambda binds them.",
    ),
}
"""Metrics of single samples; a suite's is their mean over all samples that have it."""

PER_SUITE: dict[str, MetricKind] = {
    "agreement": MetricKind(
        unit="%",
        better="higher",
        means="One less the entropy of a problem's k answers over its largest value, log k; the mean over problems.",
    ),
    "majority": MetricKind(
        unit="%", better="higher", means="Problems whose most frequent answer of k is right (maj@k); ties share."
    ),
    "robustness": MetricKind(
        unit="%",
        better="higher",
        means="The share of right samples of the worst copy in each group of variants; the mean over groups.",
    ),
    "slice-gap": MetricKind(
        unit="points", better="lower", means="The largest difference of score between two slices of the suite."
    ),
    "language-gap": MetricKind(
        unit="points",
        better="lower",
        means="The largest difference of score between two languages that the same problems are asked in.",
    ),
    "macro-f1": MetricKind(
        unit="%",
        better="higher",
        means="Where answers are classes: the mean over classes of F1, 2 right / (expected + named). An answer that "
        "names no class counts as expected only.",
    ),
    "auc": MetricKind(
        unit="%",
        better="higher",
        means="Where answers are classes: the area under the ROC curve of each class against all others, the mean over "
        "classes. A problem's score for a class is the share of its k answers that name it.",
    ),
}
"""Metrics of a whole suite, which no single sample has."""

CATALOGUE = PER_SAMPLE | PER_SUITE
SHARES = ["right", *(name for name, kind in PER_SAMPLE.items() if (kind.unit, kind.better) == ("%", "higher"))]
"""What a composite can be the product of: shares of a sample for which more is better, and whether it is right."""
