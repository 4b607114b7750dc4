#!/usr/bin/env bash
# Plain cron on a bench machine: publishes the newest commit of the default branch, once. The secrets come from a file that
# only this user may read, with lines such as NETLIFY_BUILD_HOOK=https://api.netlify.com/build_hooks/…:
#   */10 * * * * /srv/publisher/cron.sh /srv/model /srv/publisher/secrets
set -euo pipefail
repository="$1" secrets="$2"
branch="${BRANCH:-main}"
exec 9>"$repository/.git/publisher-cron.lock"
flock --nonblock 9 || exit 0 # the last call is still at work
git -C "$repository" fetch --quiet origin "$branch"
commit="$(git -C "$repository" rev-parse --verify --end-of-options "refs/remotes/origin/$branch")"
run="$(mktemp -d)"
trap 'rm -rf "$run"' EXIT
# Measured without the secrets, published with them: two processes, as on two machines.
publisher --repo "$repository" bench --out "$run/RUN.tar" -- "$commit"
set -a
# shellcheck source=/dev/null
. "$secrets"
set +a
publisher --repo "$repository" publish --run "$run/RUN.tar" -- "$commit"
