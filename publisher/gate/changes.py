"""What was changed between two runs: model, prompt, sampling, suites, engine and machine, as their records tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.outline import LONGEST, LONGEST_SETTING, settings, suite_settings
from publisher.schema import Change
from publisher.words import word_diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from publisher.schema import Part, Record


def changes(record: Record, base: Record) -> list[Change]:
    """Return the settings of a run that differ from an earlier one's, in the order in which they decide a score."""
    before, after = settings(base), settings(record)
    return [
        *_differing("model", before["model"], after["model"]),
        *_prompt(record, base),
        *_differing("sampling", before["sampling"], after["sampling"]),
        *_suites(record, base),
        *_differing("engine", before["engine"], after["engine"]),
        *_differing("machine", before["machine"], after["machine"]),
    ]


def _differing(part: Part, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Change]:
    """Yield what differs between two sets of settings, in their order."""
    for name in dict.fromkeys([*before, *after]):
        old, new = (str(side.get(name, ""))[:LONGEST_SETTING] for side in (before, after))
        if before.get(name, "") != after.get(name, ""):
            yield Change(part=part, name=name, before=old, after=new)


def _prompt(record: Record, base: Record) -> Iterator[Change]:
    for name, before, after in (
        ("system", base.prompt.system, record.prompt.system),
        ("template", base.prompt.template, record.prompt.template),
    ):
        if before != after:
            old, new = before[:LONGEST], after[:LONGEST]
            yield Change(part="prompt", name=name, before=old, after=new, passages=word_diff(old, new))


def _suites(record: Record, base: Record) -> Iterator[Change]:
    """Yield what differs in the suites that both runs measured."""
    for suite in record.suites:
        if before := suite_settings(base, suite.name):
            yield from _differing("suite", before, suite_settings(record, suite.name))
