"""Tell people what became of a run, through whatever apprise reaches: chat, e-mail, webhooks and a hundred more.

Targets are apprise addresses, one per line, in `PUBLISHER_NOTIFY`. They hold secrets, so nothing here ever prints,
stores or raises one: a target is known by its number. A target that cannot be reached is a warning and a line in the
ledger, never a failed command.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from publisher.errors import DeployError, PublisherError
from publisher.files import canonical_json
from publisher.ledger import history
from publisher.publishing.project import now
from publisher.publishing.report import one_line, score_words
from publisher.schema import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from publisher.ledger.store import Ledger
    from publisher.publishing.project import Project
    from publisher.schema import Record, Verdict

VARIABLE = "PUBLISHER_NOTIFY"
DEADLINE = 20.0
"""Seconds for all targets together; whoever has not answered by then counts as unreachable."""
MOST_TARGETS = 32
Kind = Literal["rejected", "alert", "drift", "recovered", "failed"]
WORDS: dict[Kind, str] = {
    "rejected": "rejected",
    "alert": "an alert",
    "drift": "scores are drifting",
    "recovered": "recovered",
    "failed": "the deploy failed",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What is said about one run: a title on one line, and a body of plain text."""

    kind: Kind
    run_id: str
    title: str
    body: str


def messages(record: Record, verdict: Verdict, before: str, address: str) -> list[Message]:
    """Return what people should hear of a run: its rejection, its recovery, and each alert.

    `before` is the verdict of the previous run of the tier, `address` the snapshot's, "" where there is none.
    """
    found: list[Kind] = []
    if verdict.verdict == "rejected":
        found.append("rejected")
    elif verdict.verdict in {"kept", "passed"} and before == "rejected":
        found.append("recovered")
    raised = [rule for rule in verdict.rules if rule.effect == "alert" and rule.outcome == "fail"]
    found += ["drift" if rule.rule == "drift" else "alert" for rule in raised]
    return [_message(kind, record, verdict, address) for kind in dict.fromkeys(found)]


def failure(record: Record, error: PublisherError) -> Message:
    """Return the message about a kept run whose deploy failed."""
    lines = [*_about(record), "", _safe(error.message), *([f"hint: {_safe(error.hint)}"] if error.hint else [])]
    return Message("failed", record.run_id, _title("failed", record), "\n".join(lines))


def _message(kind: Kind, record: Record, verdict: Verdict, address: str) -> Message:
    """Return one message; every kind has the same parts: which commit, which scores, why, and where to look."""
    marks = {"pass": "✓", "fail": "✗", "inconclusive": "?"}
    rules = [f"{marks[rule.outcome]} {rule.rule}: {_safe(rule.reason)}" for rule in verdict.rules]
    lines = [*_about(record), "", *rules, *(["", address] if address else [])]
    return Message(kind, record.run_id, _title(kind, record), "\n".join(lines))


def _title(kind: Kind, record: Record) -> str:
    return f"{_safe(record.model.name, 60)} {record.commit.sha[:12]}: {WORDS[kind]}"


def _about(record: Record) -> list[str]:
    """Return the lines that say which commit was measured, and how it scored."""
    lines = [f"commit {record.commit.sha[:12]} {_safe(record.commit.subject, 100)}", f"run {record.run_id}"]
    for result in record.results:
        words = score_words(result.score, result.stderr, result.interval.low, result.interval.high)
        lines.append(f"{result.suite}: {words} points")
    return lines


def _safe(text: str, width: int = 300) -> str:
    """Return hostile text as one line that addresses nobody: `@everyone` in a commit message must not ring a bell."""
    return one_line(text, width).replace("@", "＠").replace("<!", "‹!")


@contextlib.contextmanager
def about(
    project: Project, record: Record, verdict: Verdict, note: Callable[[str], None], *, is_news: bool
) -> Iterator[None]:
    """Tell people what the gate said of a run, and if what follows fails to deploy it, that too.

    A verdict that `is_news` no more was told when it was. What follows comes first: a kept run then has its address.
    """
    earlier = [run.line for run in project.runs_before(record.run_id) if run.line.tier == record.tier]
    before = earlier[-1].verdict if earlier else ""
    try:
        yield
    except DeployError as error:
        announce(project.ledger, [failure(record, error)], project.environment, now=now(), note=note)
        raise
    finally:
        if is_news:
            run = project.run(record.run_id)
            address = run.receipt.address if run and run.receipt else ""
            found = messages(record, verdict, before, address)
            announce(project.ledger, found, project.environment, now=now(), note=note)


def announce(
    ledger: Ledger,
    found: Iterable[Message],
    environment: Mapping[str, str],
    *,
    now: str,
    note: Callable[[str], None],
    deadline: float = DEADLINE,
) -> None:
    """Send messages to every target, each kind once per run, and write into the ledger how many could be reached."""
    targets = environment.get(VARIABLE, "").split()
    for message in found if targets else ():
        path = f"{history.folder(message.run_id)}/notice-{message.kind}.json"
        if ledger.has(path):
            continue
        reached = send(message, targets, note=note, deadline=deadline)
        notice = Notice(run_id=message.run_id, kind=message.kind, targets=len(targets), reached=reached, time=now)
        try:
            ledger.append({path: canonical_json(notice)}, f"Notify: {message.kind} {message.run_id}\n")
        except PublisherError as error:
            # People were told; that the ledger does not know it must not fail what they were told about.
            note(f"the ledger does not say that people were told: {error.message}")


def send(message: Message, targets: Sequence[str], *, note: Callable[[str], None], deadline: float = DEADLINE) -> int:
    """Send a message to each target at once and return how many took it."""
    try:
        import apprise  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError:
        note(f"{VARIABLE} is set but nothing was sent: pip install 'snapshot-publisher[notify]'")
        return 0
    if len(targets) > MOST_TARGETS:
        note(f"{VARIABLE} has {len(targets)} targets: only the first {MOST_TARGETS} are told")
    answers: dict[int, bool] = {}

    def tell(number: int, service: apprise.Apprise) -> None:
        """Send to one target; whatever goes wrong there only means that it was not reached."""
        with contextlib.suppress(Exception):
            text = apprise.NotifyFormat.TEXT
            answers[number] = bool(service.notify(title=message.title, body=message.body, body_format=text))

    chosen = targets[:MOST_TARGETS]
    with _without_logs(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # apprise loads all of its plugins, some of which import what is deprecated
        services = [apprise.Apprise() for _ in chosen]
        usable = [service.add(target) for service, target in zip(services, chosen, strict=True)]
    threads = [
        threading.Thread(target=tell, args=(number, service), daemon=True)
        for number, (service, known) in enumerate(zip(services, usable, strict=True), 1)
        if known
    ]
    end = time.monotonic() + deadline
    with _without_logs():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
    reached = {number for number, took in dict(answers).items() if took}
    for number in range(1, len(chosen) + 1):
        if number not in reached:
            note(f"target {number} of {VARIABLE} could not be reached: it does not know that {message.title}")
    return len(reached)


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    """Keep libraries from logging: addresses hold secrets, and apprise and urllib3 write them into their logs."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
