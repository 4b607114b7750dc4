#!/usr/bin/env bash
# Fetches every branch of the repository, and finds the commit.
# Parameters are variables, never parts of this text: no shell parses them.
set -euo pipefail
[ -e "${PUBLISHER_GIT_TOKEN_FILE-}" ] || unset PUBLISHER_GIT_TOKEN_FILE # a public repository needs none
publisher tekton fetch --into "$REPOSITORY" --branch "$PUBLISHER_POLICY_REF" --result "$HOME/commit" -- "$ADDRESS" "$REVISION"
