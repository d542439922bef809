#!/usr/bin/env bash
# Use a running deployment as its users do: through the balancer, by TLS, with a key. Says what it saw; ends at the first
# thing that is not as it should be.
# usage: deploy/smoke.sh     asks `docker compose` where things are, so .env and the shell's variables count here too
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${BIN:-.venv/bin}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { printf '\n== %s\n' "$*"; }
port() { docker compose port "$1" "$2" | sed 's/.*://'; }
prometheus() { curl -sS --fail --get "http://127.0.0.1:$(port prometheus 9090)/api/v1/query" --data-urlencode "query=$1"; }

secrets=$(deploy/setting.sh VITRINE_SECRETS deploy/secrets)
export VITRINE_SERVER="localhost:$(port balancer 50443)" VITRINE_TLS="$secrets/tls/ca.pem"
VITRINE_API_KEY=$(cat "$secrets/api_key")
export VITRINE_API_KEY

step "what is served at $VITRINE_SERVER"
"$bin/vitrine" models

step "ten real digits, by TLS and with a key"
"$bin/vitrine" classify --model digits --top-k 1 --format csv model/pictures/digits | tee "$work/digits.csv"
# Each picture is called by what it shows.
"$bin/python" -c '
import csv, pathlib, sys
rows = list(csv.DictReader(open(sys.argv[1])))
wrong = [row for row in rows if pathlib.Path(row["input"]).stem != row["label"]]
sys.exit(f"wrong: {wrong}" if wrong or len(rows) != 10 else 0)' "$work/digits.csv"

step "nobody comes in without a key"
if VITRINE_API_KEY='' "$bin/vitrine" classify --model digits model/pictures/digits/1.png 2>&1; then
    echo "it was let in" >&2
    exit 1
fi

step "a durable job"
"$bin/vitrine" jobs submit model/pictures/digits --model digits --out "$work/results.jsonl"
test "$(wc -l <"$work/results.jsonl")" -eq 10

step "what a layer saw in a seven"
"$bin/vitrine" features model/pictures/digits/7.png --model digits --layers 'stem_relu' --out "$work/features"
find "$work/features" -type f -size +0 | grep . | sed 's|.*/||'

step "what Prometheus has of every replica"
for service in front-end worker; do
    running=$(docker compose ps --quiet "$service" | wc -l)
    for _ in $(seq 60); do
        seen=$(prometheus "count(up{job=\"$service\"} == 1)" | sed -n 's/.*"\([0-9]*\)"\]}.*/\1/p')
        if [ "${seen:-0}" -eq "$running" ]; then break; fi
        sleep 1
    done
    echo "$service: ${seen:-0} of $running scraped"
    test "${seen:-0}" -eq "$running"
done
prometheus 'sum by (instance, job) ({__name__=~"vitrine_requests_total|vitrine_batch_size_count"})' |
    "$bin/python" -c '
import json, sys
for each in json.load(sys.stdin)["data"]["result"]:
    labels = each["metric"]
    what = "requests" if labels["job"] == "front-end" else "batches"
    print(f"""{labels["job"]:10} {labels["instance"]:22} {each["value"][1]} {what}""")'

step "all is well"
