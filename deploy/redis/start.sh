#!/bin/sh
# The password goes from the secret to a file in memory: on the command line every process could read it.
set -eu
umask 077
printf 'requirepass %s\n' "$(cat /run/secrets/redis_password)" >/tmp/password.conf
exec redis-server /etc/vitrine/redis.conf --maxmemory "${REDIS_MAXMEMORY:-1gb}"
