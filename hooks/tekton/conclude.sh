#!/usr/bin/env bash
# Fails the pipeline whose run was rejected, or was not recorded as the gate had said, and says why.
# Its arguments are the codes of the gate's verdicts, "recorded", those of the recorded verdicts, "runs", and their names.
set -euo pipefail
publisher tekton conclude -- "$RUNS" "$@"
