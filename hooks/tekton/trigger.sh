#!/usr/bin/env bash
# Asks the EventListener for a run of the trusted branch, signed as a webhook is.
set -euo pipefail
publisher tekton trigger --event schedule -- "$LISTENER"
