#!/usr/bin/env bash
# Checks what the service is asked to be, brings the model onto its claim, and writes the manifests and their order.
# Parameters are variables, never parts of this text: no shell parses them.
set -euo pipefail
[ -e "${HF_TOKEN_FILE-}" ] || unset HF_TOKEN_FILE # a public model needs none
publisher --repo "$REPOSITORY" tekton service --into "$PLAN" --models "$MODELS" --image "$IMAGE" --tools "$TOOLS" \
  --namespace "$NAMESPACE" --namespaces "$NAMESPACES" --allowed "$ALLOWED" --first "$FIRST" --bind "$BIND" \
  --claim "$CLAIM" --replicas "$REPLICAS" --monitoring "$MONITORING" --cores "$CORES" -- "$SNAPSHOT"
