"""The page on which a suite's problems are found: by outcome, change, kind and tag, and in words by a small script.

The page itself has every problem as links. What the script filters and searches at once is one compact file, which is
loaded when a reader asks for something; whole answers are searched in the files that hold them anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from publisher.render import answers, text
from publisher.render.language import named, say
from publisher.render.parts import Draft
from publisher.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from publisher.render.gather import Snapshot
    from publisher.schema import Sample, SuiteResult

MOST_PROBLEMS = 5_000
"""Problems of one suite that the page lists; the pages of answers have all of them."""
MOST_LINKS = 5_000
"""Links below kinds and tags, where a problem stands once for each."""
STATEMENTS = 300_000
"""Characters of all statements of a suite that can be searched, shared among its problems."""
LONGEST_STATEMENT = 400
SEARCHED = 20_000_000
"""Bytes of whole answers that a reader's search loads and looks through."""
_LETTERS = {"right": "r", "wrong": "w", "unanswered": "u", "truncated": "t", "error": "e"}


@dataclass(frozen=True, slots=True)
class Found:
    """One problem of the list: where its answers are, from the page, and how many of them are right."""

    name: str
    href: str
    kind: str
    said: str
    """How many of its answers are right, its kind, and what it clearly turned to since the previous kept snapshot."""


@dataclass(frozen=True, slots=True)
class Group:
    """Problems that have something in common, those that were answered worst first."""

    anchor: str
    heading: str
    word: str
    """The outcome that they share, for its mark; empty for kinds and tags."""
    problems: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class FindView:
    """A suite's problems by outcome, and as names alone by change, kind and tag."""

    suite: str
    span: str
    groups: tuple[Group, ...]
    more: tuple[Group, ...]
    omitted: str
    """How many problems are on the pages of answers only; empty for none."""
    kinds: tuple[str, ...]
    tags: tuple[str, ...]
    searched: str
    """How much of the whole answers can be searched; empty for a private suite."""
    beginning: str
    """How many characters of a statement can be searched, where some are longer; empty where all are searched whole."""
    public: bool


class _Problem(msgspec.Struct, array_like=True, frozen=True):
    """One problem in the file, as the script reads it: the fields by their places."""

    name: str
    href: str
    outcomes: str
    """A letter per answer: right, wrong, unanswered, truncated or error."""
    kind: int
    """Its place among the kinds, -1 for none."""
    tags: list[int]
    turned: str
    statement: str


class _Text(msgspec.Struct, frozen=True):
    """A file of whole answers: of each the bytes between the one before and it, and its own."""

    file: str
    sizes: list[int]


class _Index(msgspec.Struct, frozen=True):
    """`find.json`."""

    kinds: list[str]
    tags: list[str]
    problems: list[_Problem]
    texts: list[_Text]


def path(suite: str) -> str:
    """Return the path of a suite's page."""
    return f"samples/{suite}/find/"


def pages(snapshot: Snapshot) -> Iterator[Draft]:
    """Yield the page of each suite."""
    for result in snapshot.record.results:
        title = say("%(suite)s: find a problem", suite=result.suite)
        described = say("Problems by outcome, change, kind and tag.")
        yield Draft(path(result.suite), title, described, _view(snapshot, result))


def files(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the file of each suite that its page's script reads, by path."""
    return {
        f"{path(result.suite)}find.json": msgspec.json.encode(_index(snapshot, result))
        for result in snapshot.record.results
    }


def turned(snapshot: Snapshot, suite: str) -> dict[str, str]:
    """Return what problems turned to since the previous kept snapshot, as far as the report lists them."""
    previous = snapshot.report.previous if snapshot.report else None
    told = next((one for one in previous.suites if one.suite == suite), None) if previous else None
    if told is None:
        return {}
    return {flip.problem: "wrong" for flip in told.turned_wrong} | {flip.problem: "right" for flip in told.turned_right}


def _listed(snapshot: Snapshot, suite: str) -> list[tuple[str, str, list[Sample]]]:
    """Return a suite's problems with where they are shown, from the page, and their answers."""
    return [
        (name, f"{_up(page)}#p{number}", own)
        for page, group in enumerate(answers.groups(snapshot, suite), 1)
        for number, name, own in group
    ][:MOST_PROBLEMS]


def _tags(result: SuiteResult) -> dict[str, list[str]]:
    """Return the tags of each problem, `tag: value`."""
    found: dict[str, list[str]] = {}
    for tag, values in sorted(result.tagged.items()):
        for value, problems in values.items():
            for problem in problems:
                found.setdefault(problem, []).append(text.line(f"{tag}: {value}", 120))
    return found


def _view(snapshot: Snapshot, result: SuiteResult) -> FindView:
    listed, changed, tags = _listed(snapshot, result.suite), turned(snapshot, result.suite), _tags(result)
    problems = [(_found(name, href, own, changed.get(name, "")), name, own) for name, href, own in listed]
    problems.sort(key=lambda one: _share(one[2]))
    rest = [("turned", changed.get(name, ""), one) for one, name, _ in problems if name in changed]
    rest += [("kind", one.kind, one) for one, _, _ in problems if one.kind]
    rest += [("tag", tag, one) for one, name, _ in problems for tag in tags.get(name, ())]
    suite = snapshot.identity(result.suite)
    room = _room(len(listed))
    told = len({sample.problem for sample in snapshot.samples if sample.suite == result.suite})
    more = told - len(listed)
    return FindView(
        suite=result.suite,
        span=text.plural(told, "problem"),
        groups=tuple(_by_outcome((one, own) for one, _, own in problems)),
        more=tuple(_by_word(rest[:MOST_LINKS])),
        omitted=say("%(count)s more are there only.", count=text.count(more)) if more else "",
        kinds=tuple(sorted({one.kind for one, _, _ in problems if one.kind})),
        tags=tuple(sorted({tag for name, _, _ in listed for tag in tags.get(name, ())})),
        searched=text.size(SEARCHED) if suite.public else "",
        beginning=text.count(room) if any(len(own[0].statement) > room for _, _, own in listed) else "",
        public=suite.public,
    )


def _found(name: str, href: str, own: list[Sample], change: str) -> Found:
    right = sum(sample.outcome == "right" for sample in own)
    kind = text.line(own[0].kind, 60)
    rate = named(own[0].outcome) if len(own) == 1 else text.of_right(right, len(own))
    turn = {"wrong": say("turned wrong"), "right": say("turned right")}.get(change, "")
    return Found(text.line(name, 120), href, kind, " · ".join(filter(None, (rate, kind, turn))))


def _share(own: list[Sample]) -> float:
    scored = sum(sample.outcome != "error" for sample in own)
    return sum(sample.outcome == "right" for sample in own) / scored if scored else -1.0


def _by_outcome(problems: Iterable[tuple[Found, list[Sample]]]) -> Iterator[Group]:
    """Yield every problem once, by how many of its answers are right."""
    sets: dict[str, list[Found]] = {"none": [], "some": [], "all": [], "error": []}
    for one, own in problems:
        share = _share(own)
        sets["error" if share < 0 else "none" if share == 0 else "all" if share == 1 else "some"].append(one)
    headings = {
        "none": say("No answer right"),
        "some": say("Some right"),
        "all": say("Every answer right"),
        "error": say("Not scored"),
    }
    for word, found in sets.items():
        if found:
            yield Group(word, headings[word], word, tuple(found))


def _by_word(rest: Iterable[tuple[str, str, Found]]) -> Iterator[Group]:
    sets: dict[tuple[str, str], list[Found]] = {}
    for what, word, one in rest:
        sets.setdefault((what, word), []).append(one)
    order = ("turned", "kind", "tag")
    for number, (what, word) in enumerate(sorted(sets, key=lambda key: (order.index(key[0]), key[1])), 1):
        heading = word
        if what == "turned":
            wrong = word == "wrong"
            heading = (
                say("Turned wrong since the snapshot before")
                if wrong
                else say("Turned right since the snapshot before")
            )
        yield Group(f"group-{number}", heading, word if what == "turned" else "", tuple(sets[what, word]))


def _index(snapshot: Snapshot, result: SuiteResult) -> _Index:
    listed, changed, tags = _listed(snapshot, result.suite), turned(snapshot, result.suite), _tags(result)
    public = snapshot.identity(result.suite).public
    kinds = sorted({text.line(own[0].kind, 60) for _, _, own in listed} - {""})
    names = sorted({tag for name, _, _ in listed for tag in tags.get(name, ())})
    room = _room(len(listed)) if public else 0
    problems = [
        _Problem(
            text.line(name, 120),
            href,
            "".join(_LETTERS.get(sample.outcome, "e") for sample in own),
            kinds.index(text.line(own[0].kind, 60)) if text.line(own[0].kind, 60) else -1,
            [names.index(tag) for tag in tags.get(name, ())],
            changed.get(name, "")[:1],
            " ".join(visible(own[0].statement)[: 4 * room].split())[:room],
        )
        for name, href, own in listed
    ]
    return _Index(kinds, names, problems, list(_texts(snapshot, result.suite)) if public else [])


def _room(problems: int) -> int:
    """Return how many characters of each statement can be searched."""
    return min(LONGEST_STATEMENT, STATEMENTS // max(1, problems))


def _texts(snapshot: Snapshot, suite: str) -> Iterator[_Text]:
    """Yield the files of whole answers in the problems' order, as many as a search looks through."""
    left = SEARCHED
    for page, laid in enumerate(answers.places_of_texts(snapshot, suite), 1):
        sizes: dict[str, list[int]] = {}
        ends: dict[str, int] = {}
        for _, place in laid:
            before = ends.get(place.file, 0)
            sizes.setdefault(place.file, []).extend((place.start - before, place.end - place.start))
            ends[place.file] = place.end
        for file, found in sizes.items():
            left -= ends[file]
            if left < 0:
                return
            yield _Text(f"{_up(page)}{file}", found)


def _up(page: int) -> str:
    """Return the address of a page of answers, from the page where they are found."""
    return "../" if page == 1 else f"../{page}/"
