#!/usr/bin/env bash
# Measures the commit and hands the run over as a file. There is no secret here, and nothing is asked of the network.
set -euo pipefail
mkdir -p -- "$RUNS"
publisher --repo "$REPOSITORY" bench --tier "$TIER" --out "$RUNS/run-$TIER.tar" -- "$REVISION"
