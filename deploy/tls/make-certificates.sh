#!/usr/bin/env bash
# A private authority and a server certificate, for machines that have none from elsewhere. What exists is kept.
# usage: deploy/tls/make-certificates.sh FOLDER [NAME ...]     names and addresses that the server is called by
# writes: ca.pem (what clients trust), ca.key (keep it away from servers), server.crt, server.pem (with its key)
set -euo pipefail
folder=$1
shift
names=("${@:-localhost}")
if [ -s "$folder/server.pem" ]; then exit 0; fi

umask 077
mkdir -p "$folder"
new=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT

alternatives=""
for name in "${names[@]}" localhost 127.0.0.1; do
    kind=DNS
    if [[ $name =~ ^[0-9.]+$|: ]]; then kind=IP; fi
    alternatives+="${alternatives:+,}$kind:$name"
done

curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${curve[@]}" -days 3650 -subj "/CN=Vitrine's own authority" -keyout "$new/ca.key" -out "$new/ca.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
openssl req "${curve[@]}" -subj "/CN=${names[0]}" -keyout "$new/server.key" -out "$new/server.csr" 2>/dev/null
openssl x509 -req -in "$new/server.csr" -CA "$new/ca.pem" -CAkey "$new/ca.key" -CAcreateserial -days 397 \
    -out "$new/server.crt" -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$alternatives") 2>/dev/null
cat "$new/server.crt" "$new/server.key" >"$new/server.pem"
# Read by the user of the balancer's container; the folder is closed to other users of this machine.
chmod 644 "$new/ca.pem" "$new/server.crt" "$new/server.pem"
mv "$new/ca.pem" "$new/ca.key" "$new/server.crt" "$folder/"
mv "$new/server.pem" "$folder/"
