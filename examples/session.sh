#!/usr/bin/env bash
# A session with curl: makes an account, turns its clock, breaks its network, looks at what was asked.
# usage: session.sh [BASE_URL], http://127.0.0.1:8080 by default
set -euo pipefail
base=${1:-http://127.0.0.1:8080}
account=$base/_mock/accounts/session-$$

say() { printf '\n# %s\n' "$*"; }
# expect STATUS CURL-ARGUMENTS…: prints the answer, and fails when the status is another one
expect() {
  local wanted=$1 got
  shift
  got=$(curl -s -o /dev/stdout -w '\n%{http_code}' "$@")
  printf '%s\n' "$got" | head -c 300
  printf '\n'
  [ "${got##*$'\n'}" = "$wanted" ] || { echo "expected $wanted from curl $*" >&2; exit 1; }
}
page() { expect "$1" "$base/o/api/v3.3/logs" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -d '{"event_category":"device","age":86400,"limit":2}'; }

say 'a company of my own, at half a minute to midnight'
token=session-token-$$
expect 201 "$base/_mock/accounts" -d "{\"name\":\"session-$$\",\"seed\":7,\"now\":\"2026-01-15T23:59:30Z\",\"access_token\":\"$token\"}"
trap 'curl -s -X DELETE "$account" >/dev/null' EXIT
page 200

say 'an event that nobody has seen yet'
expect 201 "$account/events" -d '{"category":"device","event":"noncompliant","visible_at":"2026-01-16T00:00:00Z"}'

say 'midnight'
expect 200 "$account/clock/advance" -d '{"seconds":30}'
page 200

say 'the next answer is cut in half, the one after it is 503'
expect 201 "$account/faults" -d '[{"match":{"nth":1},"fault":{"close":"mid-body"}},{"match":{"nth":2},"fault":{"status":503}}]'
curl -s -o /dev/null -w '%{size_download} bytes arrived\n' "$base/o/api/v3.3/logs" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -d '{"event_category":"device"}' && { echo 'the answer arrived whole' >&2; exit 1; } || echo "curl ends with $?"
page 503
page 200

say 'no quota from now on'
expect 200 -X PUT "$account/quota" -d '"off"'

say 'what was asked'
expect 200 "$account/requests"
