#!/usr/bin/env bash
# Replace the replicas of services one after another, by what docker-compose.yml and the images say now. Each is stopped
# in order (it finishes what it has), and the next one's turn comes when its successor is healthy: with two replicas or
# more nobody notices.
# usage: deploy/roll.sh SERVICE ...
set -euo pipefail
cd "$(dirname "$0")/.."

for service in "$@"; do
    mapfile -t replicas < <(docker compose ps --quiet "$service")
    for replica in "${replicas[@]}"; do
        docker stop "$replica" >/dev/null
        docker rm "$replica" >/dev/null
        # --no-recreate: the others' turns come later.
        docker compose up --detach --no-deps --no-recreate --wait --scale "$service=${#replicas[@]}" "$service"
    done
done
