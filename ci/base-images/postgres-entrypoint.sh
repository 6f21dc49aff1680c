#!/usr/bin/env bash
# What the official image's entrypoint promises, as far as this project uses it: POSTGRES_USER, POSTGRES_PASSWORD or
# POSTGRES_PASSWORD_FILE, POSTGRES_DB, POSTGRES_INITDB_ARGS, PGDATA, /docker-entrypoint-initdb.d, flags as arguments.
set -Eeuo pipefail

fail() { echo "docker-entrypoint: $*" >&2; exit 1; }

[[ ${1:-} == -* ]] && set -- postgres "$@"
[[ ${1:-} == postgres && ${2:-} != --version && ${2:-} != --help ]] || exec "$@"

if [[ $(id -u) == 0 ]]; then
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres {} +
  exec gosu postgres "$BASH_SOURCE" "$@"
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
  user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
  if [[ -n ${POSTGRES_PASSWORD_FILE:-} ]]; then
    POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE") || fail "$POSTGRES_PASSWORD_FILE cannot be read by $(id -un)"
  fi
  [[ -n ${POSTGRES_PASSWORD:-} ]] || fail "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must give the superuser's password"

  # shellcheck disable=SC2086  # Several arguments in one variable, by the official image's convention.
  initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-}
  printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"

  # Not on the network while it is being set up.
  PGUSER=$user pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -p 5432" start
  psql=(psql -v ON_ERROR_STOP=1 --username "$user" --no-password --no-psqlrc)
  [[ $database == postgres ]] || "${psql[@]}" --dbname postgres -c "CREATE DATABASE \"$database\""
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) if [[ -x $script ]]; then "$script"; else . "$script"; fi ;;
      *.sql) "${psql[@]}" --dbname "$database" -f "$script" ;;
      *.sql.gz) gunzip -c "$script" | "${psql[@]}" --dbname "$database" ;;
    esac
  done
  PGUSER=$user pg_ctl -D "$PGDATA" -m fast -w stop
  unset POSTGRES_PASSWORD
fi

exec "$@"
