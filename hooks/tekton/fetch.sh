#!/usr/bin/env bash
# Fetches every branch of the repository; with INPUTS=1 also the model and the suites, so that measuring needs no network.
# Parameters are variables, never parts of this text: no shell parses them.
set -euo pipefail
[ -e "${PUBLISHER_GIT_TOKEN_FILE-}" ] || unset PUBLISHER_GIT_TOKEN_FILE # a public repository needs none
inputs=()
[ -z "${INPUTS-}" ] || inputs=(--inputs --result "$RESULTS/commit")
publisher tekton fetch --into "$REPOSITORY" --branch "$PUBLISHER_POLICY_REF" "${inputs[@]}" -- "$ADDRESS" "$REVISION"
