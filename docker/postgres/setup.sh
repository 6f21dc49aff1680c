#!/bin/sh
# A database and a role for each of Airflow, MLflow and Waterflow. Runs at every start: what is there stays as it is.
set -eu

PGPASSWORD=$(cat /run/secrets/postgres_password)
export PGPASSWORD PGHOST=postgres PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=3

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

exec psql -q -v ON_ERROR_STOP=1 -f "$(dirname "$0")/setup.sql"
