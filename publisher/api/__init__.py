"""What `import publisher` offers: published snapshots, the ledger, comparisons, data frames, and a measurement.

Every function raises a `PublisherError`, whose `message` says what and where and whose `hint` says what to do.
"""

from publisher.api.frames import Library, frame
from publisher.api.runs import Ledger, Run, bench, compare, ledger
from publisher.api.snapshots import Proof, Snapshot, snapshot
from publisher.errors import PublisherError

__all__ = [
    "Ledger",
    "Library",
    "Proof",
    "PublisherError",
    "Run",
    "Snapshot",
    "bench",
    "compare",
    "frame",
    "ledger",
    "snapshot",
]
