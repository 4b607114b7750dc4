#!/usr/bin/env bash
# Shows an older snapshot on the live site. It is never retried: -1 would go back one more each time.
set -euo pipefail
[ -e "${NETLIFY_AUTH_TOKEN_FILE-}" ] || unset NETLIFY_AUTH_TOKEN_FILE
publisher --repo "$REPOSITORY" rollback --why "$WHY" -- "$SNAPSHOT"
