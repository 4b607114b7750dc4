#!/usr/bin/env bash
# Tells people that the pipeline failed, or that the gate rejected; it is never retried, so that nobody is told twice.
set -euo pipefail
[ -e "${PUBLISHER_NOTIFY_FILE-}" ] || unset PUBLISHER_NOTIFY_FILE
publisher tekton notify --run "$RUN" --status "$STATUS" -- "$RUNS"
