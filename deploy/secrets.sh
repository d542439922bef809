#!/usr/bin/env bash
# The secrets of docker-compose.yml as files in FOLDER, made where they do not exist yet.
# usage: [VITRINE=COMMAND] deploy/secrets.sh FOLDER [NAME ...]     names that the server's certificate is for
# writes: redis_password, grafana_password, tls/, api_keys (hashes, for the servers) and api_key (the operator's own)
set -euo pipefail
folder=$1
read -ra vitrine <<<"${VITRINE:-.venv/bin/vitrine}"
shift
umask 077
mkdir -p "$folder"
# Compose mounts the files as they are: containers' users must be able to read them, other users of this machine not.
chmod 700 "$folder"
for name in redis_password grafana_password; do
    if [ ! -s "$folder/$name" ]; then
        openssl rand -hex 32 >"$folder/$name"
        chmod 644 "$folder/$name"
    fi
done
if [ ! -s "$folder/api_keys" ]; then
    "${vitrine[@]}" keys new --name operator --scopes infer,jobs,debug,admin --file "$folder/api_keys" >"$folder/api_key"
    chmod 644 "$folder/api_keys"
fi
"$(dirname "$0")/tls/make-certificates.sh" "$folder/tls" "$@"
