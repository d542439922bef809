#!/usr/bin/env bash
# A variable of .env.example as Compose sees it: the shell's, else that of .env, else DEFAULT.
# usage: deploy/setting.sh NAME DEFAULT
set -euo pipefail
cd "$(dirname "$0")/.."
value=$(docker compose config --environment | sed -n "s/^$1=//p")
printf '%s\n' "${value:-$2}"
