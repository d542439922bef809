#!/usr/bin/env bash
# Deploy docker-compose.yml as a Swarm stack, or bring a running one up to date. .env and the shell's variables count as
# they do for Compose; the project's name is the stack's. Run it on a manager, where the files and secrets are.
# usage: [VITRINE_BIND=0.0.0.0] deploy/swarm.sh [option of `docker stack deploy` ...]
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/secrets.sh "$(deploy/setting.sh VITRINE_SECRETS deploy/secrets)"
# `docker stack` reads no .env; this is the one variable of deploy/swarm.yml.
VITRINE_DATA_NODE=$(deploy/setting.sh VITRINE_DATA_NODE 'node.role == manager')
export VITRINE_DATA_NODE
resolved=$(mktemp)
trap 'rm -f "$resolved"' EXIT
docker compose config --format json >"$resolved"
name=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])' <"$resolved")
python3 deploy/swarm.py <"$resolved" | docker stack deploy "$@" --compose-file - --compose-file deploy/swarm.yml "$name"
