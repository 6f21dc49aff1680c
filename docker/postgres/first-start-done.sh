#!/bin/sh
# Postgres' entrypoint runs this last of all on an empty volume; see start.sh.
rm -f /var/lib/postgresql/data/.first-start
