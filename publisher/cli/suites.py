"""`publisher suites`: benchmarks by name, and a team's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from publisher.cli.groups import Commands
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json, note

if TYPE_CHECKING:
    from publisher.bench.inputs.kind import Inputs
    from publisher.bench.inputs.problems import Problem
    from publisher.config import SuiteConfig
    from publisher.publishing.project import Project
    from publisher.suites.value import Value


@click.group("suites", cls=Commands)
def command() -> None:
    """Find, fetch and check benchmarks by name; compare, weigh and grow suites of your own."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def list_(as_json: bool) -> None:
    """List the benchmarks that publisher knows by name."""
    from publisher.bench.inputs.kind import cache_folder  # noqa: PLC0415 - --help must work without the extra
    from publisher.suites import catalog  # noqa: PLC0415 - as above

    found = catalog.listed(cache_folder(os.environ))
    if as_json:
        echo_json(msgspec.to_builtins(found))
        return
    for one in found:
        shown = "statements may be shown" if one.republish else "the site shows ids only"
        state = f"pinned here to {one.pinned[:12]}" if one.pinned else "not fetched yet"
        echo(f"{one.name:18} {one.problems:5} problems  {one.grader:14} {shown}; {state}")


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Say where a benchmark comes from, what may be done with it, and how it is measured."""
    from publisher import registry  # noqa: PLC0415 - as above
    from publisher.suites import catalog  # noqa: PLC0415 - as above

    known = catalog.entry(name)
    echo(known.title)
    rows = {
        "source": known.source,
        "sha256": f"{known.sha256} (of the file at the source)",
        "problems": str(known.problems),
        "language": known.language,
        "licence": known.licence,
        "on the site": "statements and answers" if known.republish else "ids only",
        "grader": known.grader,
        "k": str(known.samples),
        "template": known.template,
        "notes": known.notes,
    }
    for word, text in rows.items():
        if text:
            echo(f"  {word:12} {text}")
    if known.preset:
        options = ", ".join(f"{key} = {value}" for key, value in registry.preset(known.preset).items())
        echo(f'  sampling     [model.sampling] preset = "{known.preset}"   ({options})')
    echo(f"hint: publisher suites add {name}")


@command.command("add")
@click.argument("name")
@click.option("--file", "path", type=click.Path(path_type=Path), default=None, help="Take this file, fetch nothing.")
@click.option("--samples", type=click.IntRange(1, 1024), default=None, help="Samples per problem (k).")
@click.pass_context
def add(ctx: click.Context, name: str, path: Path | None, samples: int | None) -> None:
    """Fetch a benchmark (or take it from a file), and write it with its digest into publisher.toml."""
    from publisher.suites import catalog  # noqa: PLC0415 - as above

    project = open_project(ctx)
    inputs = _inputs(project, "")
    section = catalog.section_of(name)
    if path is not None:
        digest = catalog.from_file(name, path, inputs).sha256
    else:
        digest, _ = catalog.fetched(name, section, inputs)
    lines = [f'use = "{name}"', *([f"samples = {samples}"] if samples else [])]
    catalog.written(project.repository.root, name, digest, lines)
    echo(f"[suites.{name}] is in publisher.toml, pinned to {digest}")
    preset = catalog.entry(name).preset
    echo(f'usual settings: [model.sampling] preset = "{preset}", k = {catalog.entry(name).samples}' if preset else "")


@command.command("fetch")
@click.argument("names", nargs=-1)
@click.option("--renew", is_flag=True, help="Pin what is there now, in the place of what was pinned.")
@click.option("--commit", default="HEAD", show_default=True, help="The commit whose suites are fetched without NAMES.")
@click.pass_context
def fetch(ctx: click.Context, names: tuple[str, ...], renew: bool, commit: str) -> None:
    """Fetch, check and pin benchmarks; without NAMES every suite of publisher.toml, such as before going offline."""
    from publisher.suites import catalog  # noqa: PLC0415 - as above

    project = open_project(ctx)
    sections = {name: catalog.section_of(name) for name in names}
    sha = ""
    if not names:
        target = project.target(commit, "")
        sections, sha = dict(target.config.suites), target.commit
    for name, section in sections.items():
        digest, count = catalog.fetched(name, section, _inputs(project, sha), renew=renew)
        echo(f"{name}: {count} problems, sha256 {digest}")


@command.command("check")
@click.argument("names", nargs=-1)
@click.option("--grader", default="math", show_default=True, help="The grader of a file that is checked.")
@click.option("--commit", default="HEAD", show_default=True, help="The commit whose suites are checked.")
@click.pass_context
def check(ctx: click.Context, names: tuple[str, ...], grader: str, commit: str) -> None:
    """Check suites by name, or suite FILES: form, ids, characters, and that every answer passes its own grader.

    Without NAMES every suite of publisher.toml is checked. Solutions of code suites run in the sandbox.
    """
    from publisher.errors import SuiteError  # noqa: PLC0415 - as above
    from publisher.suites import catalog  # noqa: PLC0415 - as above

    bad = 0
    for name, problems, used in _loaded(ctx, names, grader, commit):
        found = catalog.checked(problems, used)
        untried = f", {found.untried} without a solution to try" if found.untried else ""
        echo(f"{name}: {found.problems} problems, {len(found.failing)} answers are not right by {used!r}{untried}")
        for problem, reason in list(found.failing.items())[:20]:
            echo(f"  {problem}: {reason}")
        bad += len(found.failing)
    if bad:
        raise SuiteError(f"{bad} answers are not right by their own grader", hint="correct them, or leave them out")


@command.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--grader", default="math", show_default=True, help="The grader of files that are compared.")
@click.option("--json", "as_json", is_flag=True, help="Print the difference as JSON.")
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, grader: str, as_json: bool) -> None:
    """Compare two versions of a suite (each a FILE, a benchmark's NAME, COMMIT:SUITE), or two RUNS on what they share.

    Runs of different versions are compared only on the problems that both asked alike.
    """
    from publisher.suites import runs  # noqa: PLC0415 - as above
    from publisher.suites.diff import difference  # noqa: PLC0415 - as above

    if runs.is_run(old) and runs.is_run(new):
        project = open_project(ctx)
        project.ledger.sync()
        compared = runs.compared(project.record(old), project.record(new))
        if as_json:
            echo_json(msgspec.to_builtins(compared))
        for line in [] if as_json else runs.lines(compared):
            echo(line)
        return
    sides = []
    for name in (old, new):
        _, problems, _ = next(iter(_loaded(ctx, (name,), grader, "HEAD")))
        sides.append(problems)
    found = difference(*sides)
    if as_json:
        echo_json(msgspec.to_builtins(found))
        return
    for word, ids in msgspec.structs.asdict(found).items():
        shown = ", ".join(list(ids)[:10]) if word != "same" else ""
        echo(f"{word:9} {len(ids):6}  {shown}{', …' if len(ids) > 10 and shown else ''}")
    echo(f"scores of the two can be compared on the {len(found.same)} problems that are the same")


@command.command("value")
@click.argument("suite", required=False)
@click.option("--keep", type=click.FloatRange(0.1, 1.0), default=0.9, show_default=True, help="Power to keep.")
@click.option("--write", type=click.Path(path_type=Path), default=None, help="Write the proposal as a suite file.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def value(ctx: click.Context, suite: str | None, keep: float, write: Path | None, as_json: bool) -> None:
    """Rank a suite's problems by what they told about past differences between runs, per second that they took.

    The proposal is the smallest set that keeps the wanted share of the whole suite's power: a suite for a quick tier.
    """
    from publisher.suites.value import value as weighed  # noqa: PLC0415 - as above

    project = open_project(ctx)
    project.ledger.sync()
    config, _ = project.config(project.repository.resolve("HEAD"))
    name = suite or config.headline
    readable = [run.run_id for run in project.runs() if run.line.verdict != "unreadable" and name in run.line.scores]
    records = project.records(readable)
    found = weighed([records[run_id] for run_id in readable if run_id in records], name, keep=keep)
    if as_json:
        echo_json(msgspec.to_builtins(found))
    else:
        _show_value(found)
    if write is not None and found.proposal is not None:
        _write_proposal(project, name, write, found.proposal.problems)


def _show_value(found: Value) -> None:
    """Print what problems are worth, the most valuable first, and the proposal."""
    echo(f"{found.suite}: {len(found.problems)} problems, {found.runs} comparable runs")
    for one in found.problems[:20]:
        echo(
            f"  {one.problem:24} {one.discrimination:+6.1f} points  {one.per_second:10.4f} information per second  "
            f"{one.seconds:8.1f} s  {one.right:5.1f} % right"
        )
    proposal = found.proposal
    if proposal is None:
        echo("no two of them differ, so nothing is known of what finds a difference")
        return
    echo(
        f"proposal: {len(proposal.problems)} problems, {proposal.seconds:.0f} of {proposal.seconds_of_all:.0f} s, "
        f"power {proposal.power:.0%} (the whole suite: {proposal.power_of_all:.0%})"
    )
    echo(
        f"  finds {proposal.caught} of {proposal.differences} past differences; chosen without each of them, "
        f"{proposal.caught_unseen}"
    )
    echo(f"  {', '.join(proposal.problems)}")


def _write_proposal(project: Project, name: str, path: Path, problems: list[str]) -> None:
    """Write some problems of a suite as a suite file, and say what to put into publisher.toml."""
    from publisher.suites.catalog import subset  # noqa: PLC0415 - as above

    target = project.target("HEAD", "")
    section = target.config.suites[name]
    digest = subset(name, section, _inputs(project, target.commit), problems, path)
    echo(
        f'{path}: {len(problems)} problems\n[suites.{name}-quick]\nsource = "{path}"\nsha256 = "{digest}"\n'
        f'grader = "{section.grader}"\n[tiers.quick]\nsuites = ["{name}-quick"]'
    )


@command.command("promote")
@click.argument("run")
@click.argument("sample")
@click.option("--into", type=click.Path(path_type=Path), default=None, help="The golden suite (default: golden.jsonl).")
@click.option("--reason", "--why", "reason", metavar="WHY", default="", help="Why; it is written beside the problem.")
@click.pass_context
def promote(ctx: click.Context, run: str, sample: str, into: Path | None, reason: str) -> None:
    """Add the problem of a flagged SAMPLE (SUITE/PROBLEM#NUMBER) of RUN to a golden suite in the working tree.

    SAMPLE may also be the address of an answer that a reader of a canary reported, such as /samples/aime25/#p12-3.
    Nothing is committed: a person looks at it first.
    """
    from publisher.bench.inputs import suites  # noqa: PLC0415 - as above
    from publisher.errors import UsageError  # noqa: PLC0415 - as above
    from publisher.publishing.find import find_run  # noqa: PLC0415 - as above
    from publisher.suites.promote import found, promoted  # noqa: PLC0415 - as above

    project = open_project(ctx)
    project.ledger.sync()
    wanted = find_run(project, run)
    chosen = found(project.samples(wanted.run_id), sample)
    config, _ = project.config(wanted.line.commit)
    section = config.suites.get(chosen.suite)
    if section is None:
        raise UsageError(f"{wanted.line.commit[:12]} declares no suite {chosen.suite!r}")
    loaded = suites.load(chosen.suite, section, _inputs(project, wanted.line.commit))
    problem = next((one for one in loaded.problems if one.id == chosen.problem), None)
    if problem is None:
        raise UsageError(f"{chosen.suite} of {wanted.line.commit[:12]} has no problem {chosen.problem!r} any more")
    if not section.public:
        note(f"the statements of {chosen.suite} are not public: keep the golden suite private, too")
    path = into or project.repository.root / "golden.jsonl"
    origin = f"{wanted.run_id} {chosen.suite}/{chosen.problem}#{chosen.sample + 1}"
    name = promoted(path, problem, section.grader, origin=origin, reason=reason)
    echo(f"{name} is in {path}; it was {chosen.outcome} there: commit it, with its new sha256 in publisher.toml")


def _inputs(project: Project, commit: str) -> Inputs:
    """Return what fetching needs, with the notes of this command."""
    from publisher.bench.inputs.kind import Inputs  # noqa: PLC0415 - as above

    return Inputs.of(project.repository, commit, os.environ, note)


def _loaded(
    ctx: click.Context, names: tuple[str, ...], grader: str, commit: str
) -> list[tuple[str, tuple[Problem, ...], str]]:
    """Return (name, problems, grader) of suite files, benchmarks and suites of commits."""
    from publisher.bench.inputs import suites  # noqa: PLC0415 - as above
    from publisher.suites import catalog  # noqa: PLC0415 - as above

    found = []
    for name in names or ("",):
        revision, colon, suite = name.rpartition(":")
        if name and Path(name).is_file():
            found.append((name, catalog.read_file(Path(name), grader), grader))
            continue
        project = open_project(ctx)
        sections: dict[str, SuiteConfig]
        sha = ""
        if not name or colon:
            target = project.target(revision or commit, "")
            sha, sections = target.commit, dict(target.config.suites)
            if suite:
                sections = {suite: _one(sections, suite, revision)}
        else:
            sections = {name: catalog.section_of(name)}
        for key, section in sections.items():
            loaded = suites.load(key, section, _inputs(project, sha))
            found.append((f"{revision}:{key}" if revision else key, loaded.problems, section.grader))
    return found


def _one(sections: dict[str, SuiteConfig], suite: str, revision: str) -> SuiteConfig:
    from publisher.config.section import suggest  # noqa: PLC0415 - as above
    from publisher.errors import UsageError  # noqa: PLC0415 - as above

    if suite not in sections:
        raise UsageError(f"{revision} has no suite {suite!r}{suggest(suite, sections)}", hint=", ".join(sections))
    return sections[suite]


@command.command("variants")
@click.argument("path", metavar="FILE.jsonl", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", "kinds", multiple=True, type=click.Choice(["names", "order", "numbers"]), help="Default: all.")
@click.option("--copies", default=1, show_default=True, type=click.IntRange(1, 100), help="Copies of each kind.")
@click.option("--seed", default=0, show_default=True, help="Another seed makes other copies.")
def variants(path: Path, kinds: tuple[str, ...], copies: int, seed: int) -> None:
    """Print a suite with copies of its problems: other names, another order, other numbers.

    The copies of one problem share its group, and the metric `robustness` is the score of the worst of each group.
    """
    from publisher.quality.variants import KINDS, lines  # noqa: PLC0415 - --help must work without the extra

    for line in lines(path, kinds or KINDS, copies, seed):
        echo(line)
