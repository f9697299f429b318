#!/usr/bin/env bash
# A connector as small as can be, of nothing but bash: asks for a token, reads the last day page by page, then asks again and
# again for what is new. The time is the server's. What comes late (--lag) it misses: a real one reads windows that overlap.
# HOST (127.0.0.1) and PORT (8080) say where the server is, CLIENT_ID and CLIENT_SECRET who asks, SECONDS_BETWEEN (15) how often,
# POLLS how many times; without it, for ever.
set -euo pipefail
host=${HOST:-127.0.0.1} port=${PORT:-8080}
id=${CLIENT_ID:-LWDP7P9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST}
secret=${CLIENT_SECRET:-SECRETP9ZMJ2LBF8AMOMJLFNPMMLO953AVQ4C9YFF52R6TEST}

# post PATH CONTENT-TYPE BODY HEADER…: sets status, body and now, the server's time in epoch milliseconds
post() {
  local path=$1 type=$2 sent=$3 line
  shift 3
  exec 3<>"/dev/tcp/$host/$port"
  {
    printf 'POST %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n' "$path" "$host" "$port"
    printf 'Content-Type: %s\r\nContent-Length: %s\r\n' "$type" "${#sent}"
    [ $# -eq 0 ] || printf '%s\r\n' "$@"
    printf '\r\n%s' "$sent"
  } >&3
  read -r _ status _ <&3
  while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do
    [[ ${line,,} != date:* ]] || now=$(date -d "${line#*: }" +%s)000
  done
  body=$(cat <&3)
  exec 3>&- 3<&-
}

# The text under a name of the body.
field() { [[ $body =~ \"$1\":\"([^\"]*)\" ]] && printf '%s' "${BASH_REMATCH[1]}"; }

login() {
  post /o/oauth/token application/x-www-form-urlencoded "grant_type=client_credentials&client_id=$id&client_secret=$secret"
  [ "$status" = 200 ] || { echo "no token: $status $body" >&2; exit 1; }
  token=$(field access_token)
  echo "a token for $(sed -E 's/.*"expires_in":([0-9]+).*/\1/' <<<"$body") s"
}

# ask JSON: a page of logs, waiting where there are too many requests
ask() {
  while :; do
    post /o/api/v3.3/logs application/json "$1" "Authorization: Bearer $token"
    case $status in
      200) return ;;
      401) login ;;
      429) echo 'too many requests; waiting for 10 s'; sleep 10 ;;
      *) echo "refused: $status $body" >&2; exit 1 ;;
    esac
  done
}

# read_window FROM TO: all pages of a window in epoch milliseconds
read_window() {
  local query="\"event_category\":\"device\",\"start_time\":$1,\"end_time\":$2,\"limit\":100" place='' entries=0 pages=0 found last=
  while :; do
    ask "{$query,\"token\":\"$place\"}"
    found=$(grep -o '"timestamp":' <<<"$body" | wc -l) || true
    [ "$found" -gt 0 ] || break
    entries=$((entries + found)) pages=$((pages + 1))
    [ -n "$last" ] || last=$(field details)
    place=$(field token)
  done
  echo "$entries entries on $pages pages${last:+, the last one: $last}"
}

login
from=$((now - 86400000))
for ((poll = 1; poll <= ${POLLS:-1000000000}; poll++)); do
  to=$now
  read_window "$from" "$to"
  # The last answer has told the time: up to there, less what was read already.
  from=$((to + 1))
  [ "$poll" = "${POLLS:-}" ] || sleep "${SECONDS_BETWEEN:-15}"
  now=$((now + ${SECONDS_BETWEEN:-15} * 1000))
done
