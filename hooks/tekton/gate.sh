#!/usr/bin/env bash
# Says what the gate says of a measured run. A verdict is a result and no failure: the last Task of the Pipeline fails.
set -euo pipefail
code=0
report="$RUNS/report-$TIER"
publisher --repo "$REPOSITORY" gate --tier "$TIER" --run "$RUNS/run-$TIER.tar" \
  --report "$report.md" --report "$report.json" -- "$REVISION" || code=$?
case "$code" in 0 | 1 | 4) ;; *) exit "$code" ;; esac
publisher tekton results --code "$code" --into "$RESULTS" -- "$report.json"
