#!/usr/bin/env bash
# Checks the image's signature, then applies the plan stage by stage; whatever fails, everything goes back as it was.
# Each line of the log is JSON. Names come from the plan, which has checked them.
set -euo pipefail
OWNER='jsonpath={.metadata.name}={.metadata.labels.app\.kubernetes\.io/part-of}'
STEP=signature WHERE='' FINISHED='' BEFORE=$PLAN/before
mkdir -p "$BEFORE"
: >"$PLAN/touched"

say() { # LEVEL MESSAGE
  local text=${2//\\/\\\\}
  text=${text//\"/\\\"}
  printf '{"time":"%s","level":"%s","run":"%s","namespace":"%s","step":"%s","message":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$RUN" "$WHERE" "$STEP" "${text//[[:cntrl:]]/ }"
}

kube() { # WORDS…: no request waits for ever
  kubectl "--request-timeout=$REQUEST_TIMEOUT" "$@"
}

told() { # COMMAND…: runs it, and what it prints becomes lines of the log
  local code=0 said line
  said=$("$@" 2>&1 </dev/null) || code=$?
  while IFS= read -r line; do
    [ -z "$line" ] || say "$([ "$code" = 0 ] && echo info || echo error)" "$line"
  done <<<"$said"
  return "$code"
}

refuse() {
  say error "$1"
  exit 2
}

ours() { # NAMESPACE KIND: succeeds where the object is there; ends where it is somebody else's
  local found
  found=$(kube -n "$1" get "$2/publisher-model" --ignore-not-found -o "$OWNER") || return 3
  [ -n "$found" ] || return 1
  [ "$found" = publisher-model=publisher-model ] || return 2
}

keep() { # NAMESPACE KIND: writes down what is there before the first change to it
  local code=0 file=$BEFORE/$1.$2.yaml
  grep -qxF "$1 $2" "$PLAN/touched" && return 0
  ours "$1" "$2" || code=$?
  case "$code" in
    0) kube -n "$1" apply view-last-applied "$2/publisher-model" -o yaml >"$file" ||
      refuse "cannot see how $2/publisher-model in $1 was made, so it could not go back" ;;
    1) ;;
    2) refuse "$2/publisher-model in $1 is none that publisher made" ;;
    *) refuse "cannot look at $2/publisher-model in $1" ;;
  esac
  echo "$1 $2" >>"$PLAN/touched"
}

back() { # at every end but the good one: newest first, back to what was there
  local namespace kind said='rolled back: everything is as it was before this run'
  [ -z "$FINISHED" ] || return 0
  [ -s "$PLAN/touched" ] || return 0
  trap '' TERM INT # a second signal does not leave it half done
  STEP=rollback
  while read -r namespace kind; do
    WHERE=$namespace
    if [ -s "$BEFORE/$namespace.$kind.yaml" ]; then
      told kube -n "$namespace" apply -f "$BEFORE/$namespace.$kind.yaml" && continue
      say error "$kind/publisher-model is not restored"
    else
      told kube -n "$namespace" delete "$kind/publisher-model" --ignore-not-found && continue
      say error "$kind/publisher-model is not deleted"
    fi
    said='not everything could be rolled back: the lines above name what is left'
  done < <(tac "$PLAN/touched")
  WHERE=''
  say warning "$said"
}
trap back EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

known() { # KIND: whether this cluster has it; only the Gateway API's may be absent
  case "$1" in
    *.gateway.networking.k8s.io) kube api-resources --api-group=gateway.networking.k8s.io -o name | grep -q "^referencegrants" ;;
  esac
}

endpoints() { # FILE NAMESPACE: fills in the addresses of the pods that run now
  local ip list=
  grep -q '^endpoints: ENDPOINTS$' "$1" || return 0
  for ip in $(kube -n "$OWN" get pods -l app.kubernetes.io/part-of=publisher-model \
    --field-selector=status.phase=Running -o 'jsonpath={.items[*].status.podIP}'); do
    [[ $ip =~ ^[0-9.]+$ ]] || refuse "a pod's address is not IPv4, and endpoint-slice needs that"
    list+="${list:+, }{addresses: [\"$ip\"], conditions: {ready: true}}"
  done
  [ -n "$list" ] || refuse "no pod runs"
  sed -i "s/^endpoints: ENDPOINTS\$/endpoints: [$list]/" "$1"
}

probe() { # ADDRESS: healthy, and one token comes
  told curl --fail --silent --show-error --max-time 20 --retry 6 --retry-all-errors --retry-delay 2 \
    --output /dev/null "$1/health" &&
    told curl --fail --silent --show-error --max-time 120 --header 'Content-Type: application/json' \
      --output /dev/null --data '{"prompt":"1","n_predict":1}' "$1/completion"
}

# kubectl takes 0 for no limit, and past the step's own limit nothing would go back.
[[ $PATIENCE =~ ^[1-9][0-9]{0,3}s$|^[1-9][0-9]?m$ ]] || refuse "patience is not a time such as 15m, 99m at most"
if [ -s "$COSIGN_KEY" ]; then
  told cosign verify "--key=$COSIGN_KEY" "$IMAGE" || refuse "the image is not signed by the key: nothing was deployed"
elif [ -n "$IDENTITY" ] && [ -n "$ISSUER" ]; then
  told cosign verify "--certificate-identity=$IDENTITY" "--certificate-oidc-issuer=$ISSUER" "$IMAGE" ||
    refuse "the image is not signed by that identity: nothing was deployed"
else
  refuse "neither the Secret with cosign.pub nor identity and issuer are given: nothing was deployed"
fi

read -r _ _ OWN _ <"$PLAN/plan"
waited=
while read -r stage verb namespace kind file; do
  STEP=$verb-$stage WHERE=$namespace
  case "$verb" in
    apply)
      known "$kind" || refuse "this cluster has no $kind: install the Gateway API, or bind another way"
      keep "$namespace" "$kind"
      endpoints "$PLAN/$file"
      told kube -n "$namespace" apply -f "$PLAN/$file" || exit 3
      ;;
    probe)
      if [ -z "$waited" ]; then
        told kubectl "--request-timeout=$PATIENCE" -n "$OWN" rollout status deployment/publisher-model "--timeout=$PATIENCE" || exit 3
        waited=1
      fi
      if ! probe "$file"; then
        say error "the probe failed"
        exit 3
      fi
      say info "answers"
      ;;
    delete)
      known "$kind" || continue
      code=0
      ours "$namespace" "$kind" || code=$?
      case "$code" in 1 | 2) continue ;; 3) exit 3 ;; esac
      keep "$namespace" "$kind"
      told kube -n "$namespace" delete "$kind/publisher-model" --ignore-not-found || exit 3
      ;;
  esac
done <"$PLAN/plan"
FINISHED=1 STEP=served WHERE=$OWN
say info "served"
