#!/bin/sh
# A database and a role for each of Airflow, MLflow and Waterflow. Runs at every start: what is there stays as it is.
#
# Each database carries the id of this installation, and volume `installation` remembers that they do. A database without
# the mark is then no first start but a lost volume, and the start ends here. `setup.sh adopt` takes it all the same.
set -eu
databases="airflow mlflow waterflow"
record=/installation/postgres/id

PGPASSWORD=$(cat /run/secrets/postgres_password)
export PGPASSWORD PGHOST=postgres PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=3
export PGOPTIONS="-c client_min_messages=warning"

patience=300 # tenths of a second
until psql -qtAc 'SELECT' 2>/tmp/error; do
  if grep -q 'password authentication failed' /tmp/error; then
    echo "postgres-setup: this database was made with other passwords than those in volume secrets-postgres" >&2
    exit 1
  fi
  patience=$((patience - 1))
  if [ $patience -eq 0 ]; then
    echo "postgres-setup: no answer from postgres: $(tail -n 1 /tmp/error)" >&2
    exit 1
  fi
  sleep 0.1
done

refuse() {
  echo "postgres-setup: $1; nothing was changed" >&2
  echo "postgres-setup: restore volume postgres-data from a backup, or go on with what is there: docker compose run --rm postgres-setup adopt" >&2
  exit 1
}

read_mark() { # empty without a mark; an error other than that ends the start
  psql -qtA -d "$1" -c 'SELECT id FROM installation.mark' 2>/tmp/error && return
  grep -q 'does not exist' /tmp/error || { cat /tmp/error >&2; exit 1; }
}

if [ "${1:-}" != adopt ]; then
  for database in $databases; do
    mark=$(read_mark "$database")
    if [ -z "$mark" ] && [ -e $record ]; then
      refuse "database $database is missing or new, but an earlier start of this stack filled it: its volume or database was lost"
    fi
    if [ -n "$mark" ] && [ "$mark" != "$(cat /run/secrets/installation_id)" ]; then
      refuse "database $database is that of another installation"
    fi
  done
fi

psql -q -v ON_ERROR_STOP=1 -f "$(dirname "$0")/setup.sql"
for database in $databases; do
  psql -q -v ON_ERROR_STOP=1 -d "$database" -f "$(dirname "$0")/mark.sql"
done
cp /run/secrets/installation_id $record.part && mv -f $record.part $record
