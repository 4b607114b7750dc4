"""What the GitHub Action says of a run: outputs, annotations, the job's summary, one comment on the pull request.

Called by the action's steps (`python -m publisher.cli.github`), not by people. Everything that it reads may be hostile:
only words of a fixed list, numbers and names of fixed form become outputs; reasons become annotations with GitHub's own
escapes, and the report is Markdown in which foreign text is inert already.

Sources: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands and
https://docs.github.com/rest/issues/comments
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from publisher.cli import main_of, outcomes
from publisher.cli.terminal import append, harmless, note, run_command
from publisher.config import FILE
from publisher.errors import NetworkError, UsageError
from publisher.secret import Secret
from publisher.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from publisher.schema import Report

MARKER = "<!-- snapshot-publisher -->"
"""The first line of our comment, by which it is found again."""
LONGEST_COMMENT = 65_000
"""GitHub takes 65,536 characters."""
PAGES = 20


def outcome(report_path: Path, outcome_path: Path, environment: Mapping[str, str]) -> int:
    """Write outputs, annotations and summary of a run; return 1 where its verdict is to fail the job."""
    report = outcomes.report_in(report_path)
    receipt = None
    if outcome_path.is_file():
        receipt = outcomes.receipt_in(outcome_path)
    elif summary := environment.get("GITHUB_STEP_SUMMARY"):
        # `publish` has written its own, with the address.
        append(Path(summary), outcomes.read(report_path.with_suffix(".md")).decode())
    values = outcomes.values(report, receipt)
    with Path(environment["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in values.items())
        stream.write(f"report={report_path.resolve()}\n")
    for line in failures(report, Path(environment["GITHUB_WORKSPACE"]) / FILE):
        run_command(line)
    failing = set(re.split(r"[,\s]+", environment.get("FAIL_ON", "rejected")))
    # A rejection that only lacks a gain ended with 0, unless the policy says that it fails.
    lenient = report.verdict.no_gain and environment.get("CODE") != "1"
    return int(report.verdict.verdict in failing and not lenient)


def failures(report: Report, policy: Path) -> Iterator[str]:
    """Yield a workflow command for each rule that failed, at its line of the checkout's publisher.toml."""
    try:
        # The checkout is anybody's: its file may be a link to anything, or without an end.
        with os.fdopen(os.open(policy, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
            lines = stream.read(1 << 20).decode(errors="replace").splitlines()
    except OSError:
        lines = []
    for rule in report.verdict.rules:
        if rule.outcome == "pass" or rule.effect == "note":
            continue
        level = "error" if rule.outcome == "fail" and rule.effect == "block" else "warning"
        line = next((at for at, text in enumerate(lines, 1) if re.search(rf'"{re.escape(rule.rule)}"', text)), 1)
        place = f"file={FILE},line={line},title={_property(f'{rule.rule}: {report.verdict.verdict}')}"
        yield f"::{level} {place}::{_data(rule.reason)}"


def _data(text: str) -> str:
    """Return text as the message of a workflow command: one line, in which nothing has a meaning."""
    flat = harmless(" ".join(text.split()))[:1000]
    return flat.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def comment(report: Path, environment: Mapping[str, str]) -> int:
    """Write the report as our one comment on the pull request of this event, or edit the one that is there."""
    event = json.loads(outcomes.read(Path(environment["GITHUB_EVENT_PATH"])))
    pull = event.get("pull_request")
    if not isinstance(pull, dict):
        note("this event is no pull request: nothing to comment on")
        return 0
    own = environment["GITHUB_REPOSITORY"]
    if ((pull.get("head") or {}).get("repo") or {}).get("full_name") != own:
        note("this pull request comes from a fork, where a comment needs rights that it must not have: see the summary")
        return 0
    body = f"{MARKER}\n{outcomes.read(report).decode(errors='replace')}"
    if len(body) > LONGEST_COMMENT:
        body = f"{body[:LONGEST_COMMENT]}\n\nThe rest is in the job's summary."
    api = _Comments(environment["GITHUB_API_URL"], own, int(pull["number"]), Secret(environment["GITHUB_TOKEN"]))
    known = api.ours()
    if known is None:
        api.create(body)
    else:
        api.edit(known, body)
    return 0


class _Comments:
    """The comments of one pull request."""

    def __init__(self, api: str, repository: str, number: int, token: Secret) -> None:
        if not re.fullmatch(r"[\w.-]{1,100}/[\w.-]{1,100}", repository):
            raise UsageError("GITHUB_REPOSITORY is not OWNER/NAME")
        self._base = f"{api.rstrip('/')}/repos/{repository}/issues"
        self._number = number
        self._web = Web()
        self._headers: dict[str, str | Secret] = {
            "Authorization": Secret(f"Bearer {token.reveal()}"),
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def ours(self) -> int | None:
        """Return the number of the comment that begins with our marker and was written by a workflow, or None."""
        for page in range(1, PAGES + 1):
            found = self._ask(
                "GET", f"{self._number}/comments", parameters={"per_page": "100", "page": str(page)}, wanted=200
            )
            for one in found if isinstance(found, list) else []:
                # Anybody may write our marker into a comment; editing theirs would fail, or change their words.
                if str(one.get("body", "")).startswith(MARKER) and (one.get("user") or {}).get("type") == "Bot":
                    return int(one["id"])
            if not isinstance(found, list) or len(found) < 100:
                break
        return None

    def create(self, body: str) -> None:
        """Write a new comment."""
        self._ask("POST", f"{self._number}/comments", body={"body": body}, wanted=201)

    def edit(self, comment: int, body: str) -> None:
        """Replace the words of a comment."""
        self._ask("PATCH", f"comments/{comment}", body={"body": body}, wanted=200)

    def _ask(self, method: str, path: str, *, wanted: int, **more: Any) -> Any:
        answer = self._web.request(
            method, f"{self._base}/{path}", what="the pull request's comments", headers=self._headers, **more
        )
        if answer.status != wanted:
            raise NetworkError(
                f"GitHub answered {answer.status} for the pull request's comments",
                status=answer.status,
                hint="the job needs the permission pull-requests: write",
            )
        return answer.json("the pull request's comments")


def _run() -> int:
    """Do what the first argument says."""
    match sys.argv[1:]:
        case ["outcome", report, found]:
            return outcome(Path(report), Path(found), os.environ)
        case ["comment", report]:
            return comment(Path(report), os.environ)
    raise UsageError("usage: python -m publisher.cli.github outcome REPORT.json OUTCOME.json | comment REPORT.md")


if __name__ == "__main__":
    main_of(_run)
