#!/usr/bin/env bash
# Fetches every file of a published snapshot, or of all, and compares it with what was rendered.
set -euo pipefail
if [ -n "$SNAPSHOT" ]; then
  publisher --repo "$REPOSITORY" verify -- "$SNAPSHOT"
else
  publisher --repo "$REPOSITORY" verify --all
fi
