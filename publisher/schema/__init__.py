"""Everything that is written to disk or crosses between steps: versioned msgspec structs.

A stored file starts with its integer `schema`; `decode` refuses another version with a message that says which way it
differs. Scores are in points, 0 to 100, higher is better; times are UTC, ISO 8601 with a final `Z`; durations are in
seconds; sizes in bytes; digests are lower-case SHA-256.
"""

from __future__ import annotations

from publisher.schema.published import (
    RECEIPT_SCHEMA,
    BuildRequest,
    GivenUp,
    LiveMove,
    Pin,
    Pruned,
    Receipt,
    SnapshotName,
    TakenDown,
)
from publisher.schema.record import (
    RECORD_SCHEMA,
    CommitIdentity,
    Confinement,
    Counts,
    EngineIdentity,
    Interval,
    MachineIdentity,
    ModelIdentity,
    Outcome,
    PromptIdentity,
    Quantiles,
    Record,
    Sample,
    Sampling,
    StoppedEarly,
    SuiteIdentity,
    SuiteResult,
)
from publisher.schema.site import (
    MANIFEST_SCHEMA,
    Manifest,
    ManifestEntry,
    SiteDeploy,
    SiteSnapshot,
    SnapshotIdentity,
)
from publisher.schema.stored import Struct, decode
from publisher.schema.verdict import (
    HISTORY_SCHEMA,
    SUMMARY_SCHEMA,
    VERDICT_SCHEMA,
    History,
    HistoryLine,
    HistoryScore,
    RuleResult,
    Verdict,
    VerdictWord,
)

__all__ = [
    "HISTORY_SCHEMA",
    "MANIFEST_SCHEMA",
    "RECEIPT_SCHEMA",
    "RECORD_SCHEMA",
    "SUMMARY_SCHEMA",
    "VERDICT_SCHEMA",
    "BuildRequest",
    "CommitIdentity",
    "Confinement",
    "Counts",
    "EngineIdentity",
    "GivenUp",
    "History",
    "HistoryLine",
    "HistoryScore",
    "Interval",
    "LiveMove",
    "MachineIdentity",
    "Manifest",
    "ManifestEntry",
    "ModelIdentity",
    "Outcome",
    "Pin",
    "PromptIdentity",
    "Pruned",
    "Quantiles",
    "Receipt",
    "Record",
    "RuleResult",
    "Sample",
    "Sampling",
    "SiteDeploy",
    "SiteSnapshot",
    "SnapshotIdentity",
    "SnapshotName",
    "StoppedEarly",
    "Struct",
    "SuiteIdentity",
    "SuiteResult",
    "TakenDown",
    "Verdict",
    "VerdictWord",
    "decode",
]
