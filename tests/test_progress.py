"""Progress of a run, as plain lines on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from publisher.cli.progress import Watch
from tests.made import SAMPLE

if TYPE_CHECKING:
    import pytest


def test_each_measurement_of_a_command_counts_from_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """Where tiers or extensions follow each other, done and planned are of the same measurement."""
    watch = Watch()
    for samples in (3, 2):
        watch.planned("m", [("s", samples)], samples)
        for _ in range(samples):
            watch.sampled(SAMPLE, {})
    told = [line.split(",")[0] for line in capsys.readouterr().err.splitlines() if "/" in line]
    assert told == ["3/3 samples", "2/2 samples"]
