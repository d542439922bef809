#!/bin/sh
# Whether Redis answers and takes writes: PING alone says yes while it loads its file or its disk is full.
set -eu
REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
[ "$(redis-cli ping)" = PONG ]
redis-cli info persistence | grep -q 'aof_last_write_status:ok'
