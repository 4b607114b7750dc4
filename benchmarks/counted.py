"""Run the command line and write down how many git processes it started and how many HTTP requests it made.

python benchmarks/counted.py REPORT ARGUMENT…
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import git

from publisher import cli
from publisher.web import Web


def main() -> None:
    """Count from outside, at the two places through which everything goes."""
    report = Path(sys.argv[1])
    counts = {"git": 0, "http": 0}
    execute, request = git.Git.execute, Web.request

    def counted_execute(*given: Any, **options: Any) -> Any:
        counts["git"] += 1
        return execute(*given, **options)

    def counted_request(*given: Any, **options: Any) -> Any:
        counts["http"] += 1
        return request(*given, **options)

    git.Git.execute = counted_execute  # type: ignore[method-assign]
    Web.request = counted_request  # type: ignore[method-assign]
    sys.argv = ["publisher", *sys.argv[2:]]
    try:
        cli.main()
    finally:
        report.write_text(json.dumps(counts), "utf-8")


if __name__ == "__main__":
    main()
