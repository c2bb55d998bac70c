#!/bin/sh
# Makes the database where there is none, then serves it. A start that is broken off leaves nothing half-made.
set -eu
data=$PGDATA
if [ ! -d "$data" ]; then
    rm -rf "$data.new"
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb --pgdata="$data.new" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$data.new/pg_hba.conf"
    echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -j -D "$data.new" postgres > /dev/null
    mv "$data.new" "$data"
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp
