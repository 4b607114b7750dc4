"""What the steps of the Tekton pipeline call besides the usual commands: see `hooks/tekton/`.

What they are given may come from a webhook: its form is checked, and only words of fixed form become results.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from publisher import address as addresses
from publisher.cli import outcomes
from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, harmless, note
from publisher.errors import NetworkError, UsageError
from publisher.files import atomic_write
from publisher.git.clone import fetch_branches
from publisher.git.values import is_branch_name, is_full_hash
from publisher.publishing import notify as people
from publisher.secret import Secret
from publisher.web import Web

if TYPE_CHECKING:
    from collections.abc import Sequence

    from publisher.schema import Report

REPORT_TOKEN = "PUBLISHER_REPORT_TOKEN"  # noqa: S105 - the variable's name
WEBHOOK_SECRET = "PUBLISHER_WEBHOOK_SECRET"  # noqa: S105 - the same
ARTIFACT = ("manifest-ARTIFACT_URI", "manifest-ARTIFACT_DIGEST")
MOST_REPORTS = 64
QUIET = ("Succeeded", "Completed")
"""The states of a pipeline's Tasks in which nothing went wrong."""
REJECTED = 1
ENDS = {0: "kept or unchanged", REJECTED: "rejected", 4: "inconclusive or held"}
"""What the exit code of a verdict says."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")
_existing = click.Path(path_type=Path, exists=True)


@click.command("fetch")
@click.argument("address")
@click.argument("revision", default="")
@click.option("--into", required=True, type=click.Path(path_type=Path), help="The folder for the repository.")
@click.option("--branch", default="main", show_default=True, help="The trusted branch.")
@click.option("--result", type=click.Path(path_type=Path), help="Write the commit into this file.")
def fetch(address: str, revision: str, into: Path, branch: str, result: Path | None) -> None:
    """Fetch every branch of the repository at ADDRESS, and find commit REVISION (a full hash; default: the branch)."""
    if revision and not is_full_hash(revision):
        raise UsageError("the revision is not the full hash of a commit", hint="git rev-parse HEAD")
    if not is_branch_name(branch):
        raise UsageError("the trusted branch does not have the form of a branch's name")
    repository = fetch_branches(address, into, sha256=len(revision) == 64)
    commit = repository.resolve(revision or f"refs/remotes/origin/{branch}")
    if result is not None:
        atomic_write(result, commit.encode())
    echo(commit)


@click.command("inputs")
@click.argument("revision", default="HEAD")
@click.pass_context
def inputs(ctx: click.Context, revision: str) -> None:
    """Fetch the model and the suites of commit REVISION into $PUBLISHER_CACHE, so that measuring needs no network."""
    from publisher.bench.inputs import model_file, suites  # noqa: PLC0415 - they need an extra, and --help does not
    from publisher.bench.inputs.kind import Inputs  # noqa: PLC0415 - the same

    project = open_project(ctx)
    commit = project.repository.resolve(revision)
    config, _ = project.config(commit)
    found = Inputs.of(project.repository, commit, os.environ, note)
    model_file.resolve(config.model, found)
    # Suites are those of the trusted branch where a commit is not on it.
    policy = project.policy(commit)
    for name, section in config.suites.items():
        suites.load(name, section, replace(found, commit=policy) if policy else found)
    echo(f"fetched: the model {harmless(config.model.name)} and {len(config.suites)} suites")


@click.command("results")
@click.argument("report", type=_existing)
@click.argument("outcome", type=_existing, required=False)
@click.option("--into", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder of results.")
@click.option("--code", required=True, type=click.IntRange(0, 255), help="The exit code that the verdict had.")
def results(report: Path, outcome: Path | None, into: Path, code: int) -> None:
    """Write what REPORT.json, and OUTCOME.json of `publish --json`, say as results: a file each, "" for what is not."""
    receipt = outcomes.receipt_in(outcome) if outcome is not None else None
    found = dict.fromkeys(outcomes.FORMS, "") | outcomes.values(outcomes.report_in(report), receipt)
    artifact = _artifact(found["permalink"], receipt.manifest_sha256 if receipt is not None else "")
    for name, value in {**found, **artifact, "code": str(code)}.items():
        atomic_write(into / name, value.encode())


def _artifact(permalink: str, digest: str) -> dict[str, str]:
    """Return where a published manifest is and its digest, by names whose ends tell Tekton Chains to sign for it."""
    known = bool(permalink) and re.fullmatch(r"[0-9a-f]{64}", digest)
    values = (f"{permalink}/manifest.json", f"sha256:{digest}") if known else ("", "")
    return dict(zip(ARTIFACT, values, strict=True))


@click.command("conclude")
@click.argument("reports", type=_existing)
@click.argument("words", nargs=-1)
@click.pass_context
def conclude(ctx: click.Context, reports: Path, words: tuple[str, ...]) -> None:
    """Say what went wrong in a pipeline, and exit with the code of it; with 0 where nothing did.

    WORDS are the exit codes of the gate's verdicts, `recorded`, those of the recorded verdicts, `runs`, and the names
    of the recorded runs. What was recorded counts: it was computed last. 1 says that a run was rejected, 4 that one is
    inconclusive or held although the gate had said otherwise. REPORTS is the folder with the gate's reports.
    """
    gate, recorded, runs = _parts(words)
    for report in _reports(reports):
        verdict = report.verdict
        if verdict.verdict == "rejected":
            failed = [f"{rule.rule}: {rule.reason}" for rule in verdict.rules if rule.outcome == "fail"]
            note(f"{report.run.run_id}: the gate rejected it: {'; '.join(failed)}")
    moved = [(run, code) for before, code, run in zip(gate, recorded, runs, strict=False) if before != code]
    for run, code in moved:
        note(f"{run}: the ledger has it as {ENDS[code]}, unlike the gate: other runs were recorded in between")
    rejected = REJECTED in (recorded or gate)
    ctx.exit(REJECTED if rejected else max((code for _, code in moved), default=0))


def _parts(words: Sequence[str]) -> tuple[list[int], list[int], list[str]]:
    """Return the gate's codes, the recorded ones and the names of those runs; UsageError for other words."""
    found = re.fullmatch(r"((?:[014] )*)recorded ((?:[014] )*)runs ((?:\S+ )*)", "".join(f"{word} " for word in words))
    gate, recorded, runs = (part.split() for part in found.groups()) if found else ([], [], [])
    named = all(outcomes.FORMS["run-id"].fullmatch(run) for run in runs)
    if not gate or not named or len(runs) != len(recorded) or len(recorded) not in {0, len(gate)}:
        raise UsageError("the words are not CODE… recorded CODE… runs NAME…, one of each per tier")
    return [int(code) for code in gate], [int(code) for code in recorded], runs


@click.command("notify")
@click.argument("reports", type=click.Path(path_type=Path))
@click.option("--run", required=True, help="The PipelineRun's name.")
@click.option("--status", required=True, help="What became of its Tasks: Succeeded, Completed, Failed or None.")
def notify(reports: Path, run: str, status: str) -> None:
    """Tell the targets of PUBLISHER_NOTIFY that a pipeline failed, or that the gate rejected what REPORTS tell of."""
    if not _NAME.fullmatch(run) or not re.fullmatch(r"[A-Za-z]{1,32}", status):
        raise UsageError("--run or --status does not have the form that Tekton gives it")
    found = list(_reports(reports)) if reports.is_dir() else []
    rejected = [report.run.run_id for report in found if report.verdict.verdict == "rejected"]
    if status in QUIET and not rejected:
        echo("nobody is told: nothing went wrong")
        return
    title = f"pipeline {run}: {'rejected' if rejected else 'failed'}"
    lines = [f"{report.run.run_id}: the gate said {report.verdict.verdict}" for report in found]
    body = "\n".join([f"the state of its tasks is {status}", *lines])
    message = people.Message("rejected" if rejected else "failed", run, title, body)
    targets = os.environ.get(people.VARIABLE, "").split()
    reached = people.send(message, targets, note=note) if targets else 0
    echo(f"told {reached} of {len(targets)}")


@click.command("upload")
@click.argument("reports", type=click.Path(path_type=Path))
@click.option("--to", "address", required=True, help="The https address below which reports are put.")
@click.option("--run", required=True, help="The PipelineRun's name.")
def upload(reports: Path, address: str, run: str) -> None:
    """Put each JSON report of folder REPORTS at ADDRESS/RUN/NAME; PUBLISHER_REPORT_TOKEN opens it, if it is set."""
    if not _NAME.fullmatch(run):
        raise UsageError("--run does not have the form of a PipelineRun's name")
    token = os.environ.get(REPORT_TOKEN, "")
    headers: dict[str, str | Secret] = {"Authorization": Secret(f"Bearer {token}")} if token else {}
    for path in _files(reports):
        body = msgspec.to_builtins(outcomes.report_in(path))
        _send("PUT", f"{_secure(address)}/{run}/{path.name}", "the reports' address", headers, body)
        echo(f"uploaded {path.name}")


@click.command("trigger")
@click.argument("address")
@click.option("--event", default="schedule", show_default=True, help="The event, as X-GitHub-Event.")
def trigger(address: str, event: str) -> None:
    """Send an event to the EventListener at ADDRESS, signed with PUBLISHER_WEBHOOK_SECRET as GitHub signs its own."""
    secret = os.environ.get(WEBHOOK_SECRET, "")
    if not secret:
        raise UsageError(f"{WEBHOOK_SECRET} is not set, so nothing would believe the event")
    body = {"event": event}
    signature = hmac.new(secret.encode(), json.dumps(body).encode(), hashlib.sha256).hexdigest()
    _send(
        "POST",
        address,
        "the event listener",
        {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={signature}"},
        body,
    )
    echo("sent")


def _secure(address: str) -> str:
    """Return an address that a token may be sent to, without its last slash; UsageError where it is none."""
    try:
        secure = addresses.split(address).scheme == "https" or addresses.is_loopback(address)
    except ValueError:
        secure = False
    if not secure:
        raise UsageError("the reports' address is not https://HOST/…, without a login in it")
    return address.rstrip("/")


def _send(method: str, address: str, what: str, headers: dict[str, str | Secret], body: Any) -> None:
    """Send one request; NetworkError where it is not accepted."""
    answer = Web().request(method, address, what=what, headers=headers, body=body)
    if not 200 <= answer.status < 300:
        raise NetworkError(f"{what} answered {answer.status}", status=answer.status)


def _files(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("report-*.json"))[:MOST_REPORTS] if folder.is_dir() else []


def _reports(folder: Path) -> Sequence[Report]:
    return [outcomes.report_in(path) for path in _files(folder)]


COMMANDS = (fetch, inputs, results, conclude, notify, upload, trigger)
