#!/bin/sh
# Postgres' own entrypoint takes a folder that holds PG_VERSION for a whole database, yet `initdb` writes that file
# first: a first start that is cut short would leave a database that never comes up. So a mark lies beside the folder
# until the first start is through (first-start-done.sh takes it away), and while it lies there, the folder is made again.
set -eu

mark=/var/lib/postgresql/data/.first-start
if [ -e "$mark" ]; then
  echo "postgres: the first start was interrupted; beginning it again"
  rm -rf "$PGDATA"
elif [ ! -s "$PGDATA/PG_VERSION" ]; then
  touch "$mark"
fi

exec docker-entrypoint.sh postgres "$@"
