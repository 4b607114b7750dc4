#!/usr/bin/env bash
# Fails the pipeline whose run the gate rejected, and says why.
set -euo pipefail
publisher tekton conclude -- "$RUNS"
