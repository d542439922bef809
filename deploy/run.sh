#!/usr/bin/env bash
# Serve, classify a few real pictures as soon as there is an answer, and keep serving until Ctrl-C.
# usage: deploy/run.sh MODEL PICTURES [option of `vitrine serve` ...]
set -euo pipefail
bin=${BIN:-.venv/bin} model=$1 pictures=$2
shift 2

# Lines of single requests would fall into the table below.
VITRINE_LOG_REQUESTS_PER_S=${VITRINE_LOG_REQUESTS_PER_S:-0} "$bin/vitrine" serve "$@" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true' EXIT

echo
echo "The first start on a machine measures how each model runs best; later starts take a second."
"$bin/vitrine" classify --model "$model" --wait-s 300 "$pictures"
echo
echo "Serving. Ctrl-C ends it."
wait "$server"
