#!/usr/bin/env bash
# Removes the model service from every namespace that may have it, bindings first, and looks that nothing is left.
# shellcheck disable=SC2153 # the step's environment has NAMESPACE
set -euo pipefail
KINDS=(horizontalpodautoscaler.autoscaling poddisruptionbudget.policy deployment.apps service networkpolicy.networking.k8s.io resourcequota)
BOUND=(endpointslice.discovery.k8s.io service)
OWNER='jsonpath={.metadata.labels.app\.kubernetes\.io/part-of}'

say() { # LEVEL NAMESPACE MESSAGE
  local text=${3//\\/\\\\}
  text=${text//\"/\\\"}
  printf '{"time":"%s","level":"%s","run":"%s","namespace":"%s","step":"unserve","message":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$RUN" "$2" "${text//[[:cntrl:]]/ }"
}

kube() { # WORDS…: no request waits for ever
  kubectl "--request-timeout=$REQUEST_TIMEOUT" "$@"
}

ended() { # CODE: 1 would say that the gate rejected
  case "$1" in 0 | 3) return 0 ;; esac
  say error "$NAMESPACE" "the cluster did not answer as it should"
  exit 3
}
trap 'ended "$?"' EXIT

remove() { # NAMESPACE KIND: what somebody else made stays
  [ "$(kube -n "$1" get "$2/publisher-model" --ignore-not-found -o "$OWNER")" = publisher-model ] || return 0
  say info "$1" "$(kube -n "$1" delete "$2/publisher-model" --ignore-not-found 2>&1)"
}

gateway=$(kube api-resources --api-group=gateway.networking.k8s.io -o name)
case "$gateway" in *referencegrants*) KINDS=(referencegrant.gateway.networking.k8s.io "${KINDS[@]}") ;; esac
# A list of names of fixed form, which the manifest has; no parameter is in it.
for namespace in $ALLOWED; do
  for kind in "${BOUND[@]}"; do remove "$namespace" "$kind"; done
done
for kind in "${KINDS[@]}"; do remove "$NAMESPACE" "$kind"; done

left=
for namespace in $ALLOWED; do
  for kind in "${BOUND[@]}"; do left+=$(kube -n "$namespace" get "$kind" -l "$SELECTOR" -o name); done
done
for kind in "${KINDS[@]}"; do left+=$(kube -n "$NAMESPACE" get "$kind" -l "$SELECTOR" -o name); done
if [ -n "$left" ]; then
  say error "$NAMESPACE" "still there: $left"
  exit 3
fi
say info "$NAMESPACE" "nothing is left"
