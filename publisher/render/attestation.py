"""The verdict as an in-toto statement, for tools that check where software comes from; signed elsewhere.

The form is in-toto's Statement v1 with the test-result predicate v0.1: its tests are the gate's rules, its subjects
the commit and the record of what was measured of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from publisher.files import canonical_json
from publisher.render import text

if TYPE_CHECKING:
    from publisher.render.gather import Snapshot
    from publisher.schema import RuleResult

FILE = "attestation.json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def statement(snapshot: Snapshot) -> dict[str, bytes]:
    """Return `attestation.json`; the same snapshot gives the same bytes."""
    record = snapshot.record
    predicate = {
        "result": "PASSED" if snapshot.verdict.verdict == "kept" else "WARNED" if snapshot.word == "kept" else "FAILED",
        "configuration": _configuration(snapshot),
        "url": snapshot.pin,
        "passedTests": [_name(rule) for rule in snapshot.verdict.rules if rule.outcome == "pass"],
        "warnedTests": [_name(rule) for rule in snapshot.verdict.rules if _warns(rule)],
        "failedTests": [_name(rule) for rule in snapshot.verdict.rules if _fails(rule)],
    }
    subjects = [
        {"name": "record.json", "digest": {"sha256": snapshot.record_sha256}},
        {"name": "commit", "digest": {"gitCommit": record.commit.sha}},
    ]
    return {
        FILE: canonical_json(
            {"_type": STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": predicate}
        )
    }


def _configuration(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return what the run was measured with, each named with its digest."""
    record = snapshot.record
    found: list[dict[str, Any]] = [{"name": "publisher.toml", "digest": {"sha256": record.config_sha256}}]
    if record.policy:
        found.append({"name": "policy", "digest": {"gitCommit": record.policy}})
    found.append({"name": text.line(f"model {record.model.name}", 120), "digest": {"sha256": record.model.sha256}})
    found += [{"name": text.line(f"suite {one.name}", 120), "digest": {"sha256": one.sha256}} for one in record.suites]
    return found


def _name(rule: RuleResult) -> str:
    return text.line(f"{rule.rule} {rule.suite}", 160)


def _fails(rule: RuleResult) -> bool:
    """Return whether a rule rejects the run; one that only alerts or notes is a warning."""
    return rule.outcome == "fail" and rule.effect == "block"


def _warns(rule: RuleResult) -> bool:
    return rule.outcome != "pass" and not _fails(rule)
