"""Write docs/metrics.md from the declared metrics: `python docs/metrics.py [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from publisher.config.metrics import MEASURED
from publisher.schema.metrics import PER_SAMPLE, PER_SUITE, SHARES, MetricKind

PAGE = Path(__file__).parent / "metrics.md"
HEAD = """# Metrics

Made by `docs/metrics.py` from the declarations in the code. Every run has these numbers beside its scores, each with a
unit and a direction. A rule can be set on any of them:

```toml
[gate]
rules = [{ rule = "budget", metric = "completeness", percent = 10 }]
```

`limit` is compared as it stands. `percent` needs evidence as well: against answers to the same problems for metrics of
answers, against the spread between runs for the others.

"""
OWN = f"""
## Metrics of your own

A number of a file of the commit, or of a Python program of the commit. The program runs in the sandbox once per suite,
with the standard library only, reads the suite's answers as lines of JSON and prints one object of finite numbers.

```toml
[metrics.toxicity]
better = "lower"
unit   = "%"
source = "metrics.json"            # or "python:tools/toxicity.py"

[metrics.useful]                   # a composite: the product of shares of each answer
product = ["right", "completeness"]

[suites.mine]
source = "mine.jsonl"
score  = "useful"                  # the composite is the suite's score

[prices]                           # what answers cost: cost-per-answer, cost-per-right-answer
hour = 2.5
kwh  = 0.3
```

A composite can be the product of {", ".join(f"`{name}`" for name in SHARES)}. An answer that lacks one of them is
measured by the others.
"""


def table(kinds: dict[str, MetricKind]) -> str:
    """Return metrics as a table."""
    rows = [f"| `{name}` | {kind.unit} | {kind.better} | {kind.means} |" for name, kind in kinds.items()]
    return "\n".join(["| metric | unit | better | definition |", "| --- | --- | --- | --- |", *rows, ""])


def page() -> str:
    """Return the whole page."""
    run = ", ".join(f"`{name}`" for name in MEASURED)
    return (
        f"{HEAD}## Of each answer\n\nA suite's value is the mean over all its answers that have the metric.\n\n"
        f"{table(PER_SAMPLE)}\n## Of a whole suite\n\n{table(PER_SUITE)}\n## Of the run\n\n{run}. Energy, utilisation "
        f"and cost are there where the machine or `[prices]` tells; a budget on what a run did not record is "
        f"inconclusive.\n{OWN}"
    )


def main() -> int:
    """Write the page, or with `--check` return 1 where it is out of date."""
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        print("docs/metrics.md does not show today's metrics: python docs/metrics.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
