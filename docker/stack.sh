#!/usr/bin/env bash
# What `make up`, `make credentials` and `make clean-stack` say beyond what Compose says.
#
#   docker/stack.sh preflight | addresses | why | clean
set -euo pipefail
cd "$(dirname "$0")/.."

NEEDED_ENGINE=20.10 NEEDED_COMPOSE=2.24 # 2.24: !override and !reset, in the override files.
NEEDED_MEMORY_MB=3500 NEEDED_DISK_GB=8 # A machine sold with 4 GB shows somewhat less.
declare -A SETTING=([8080]=AIRFLOW_PORT [5000]=MLFLOW_PORT [9000]=MINIO_PORT [9001]=MINIO_CONSOLE_PORT [8000]=SERVING_PORT
  [443]=TLS_PORT [80]=TLS_HTTP_PORT)

fail() { echo "error: $*" >&2; exit 1; }

at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]; }

preflight() {
  command -v docker >/dev/null || fail "docker is not installed; see https://docs.docker.com/engine/install/"
  local engine compose
  engine=$(docker version --format '{{.Server.Version}}' 2>&1) ||
    fail "the Docker Engine does not answer: ${engine##*$'\n'}; start it, or see whether you may use it: docker info"
  at_least $NEEDED_ENGINE "$engine" || fail "Docker Engine $engine is too old; the stack needs $NEEDED_ENGINE or later"
  compose=$(docker compose version --short 2>/dev/null) || fail "Docker has no \`compose\`; install its plugin, $NEEDED_COMPOSE or later"
  at_least $NEEDED_COMPOSE "${compose#v}" || fail "Docker Compose $compose is too old; the stack needs $NEEDED_COMPOSE or later"
  memory
  disk
  ports
}

memory() {
  local mb
  mb=$(($(docker info --format '{{.MemTotal}}') / 1000 / 1000))
  ((mb >= NEEDED_MEMORY_MB)) ||
    fail "Docker has $mb MB of memory; the stack needs $NEEDED_MEMORY_MB MB (1600 idle, the rest for training)"
}

disk() { # Images need the room once; a Docker Desktop keeps its disk where df cannot look.
  local root free_gb
  root=$(docker info --format '{{.DockerRootDir}}')
  [[ -d $root ]] || return 0
  docker image inspect "${AIRFLOW_IMAGE:-waterflow-airflow}" >/dev/null 2>&1 && NEEDED_DISK_GB=2
  free_gb=$(($(df -Pk "$root" | awk 'NR == 2 {print $4}') / 1000 / 1000))
  ((free_gb >= NEEDED_DISK_GB)) ||
    fail "$root has $free_gb GB left; the stack needs $NEEDED_DISK_GB GB there; \`docker system prune\` frees what nothing uses"
}

ports() {
  local ours target port
  ours=$(docker compose ps --quiet | xargs -r docker inspect --format \
    '{{range .NetworkSettings.Ports}}{{range .}} {{.HostPort}} {{end}}{{end}}')
  while read -r target port; do
    [[ $ours == *" $port "* ]] && continue
    if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      fail "port $port is taken by another program; stop it, or choose another: ${SETTING[$target]:-its setting}=… in .env"
    fi
  done < <(published)
}

published() { # "<port in the container> <port on this machine>", a line each
  docker compose config | awk '$1 == "target:" {target = $2} $1 == "published:" {gsub(/"/, "", $2); print target, $2}'
}

addresses() {
  local target port
  local -A at=()
  while read -r target port; do at[$target]=http://localhost:$port; done < <(published)
  [[ -z ${at[443]:-} ]] || public_addresses
  echo
  echo "  Airflow  ${at[8080]}"
  echo "  MLflow   ${at[5000]}"
  echo "  Serving  ${at[8000]}"
  echo "  Store    ${at[9000]}${at[9001]:+, console ${at[9001]}}"
  echo
  echo "  make credentials prints the generated names and passwords."
}

public_addresses() { # Behind TLS no service publishes a port of its own.
  local domain suffix=:${at[443]##*:}
  domain=$(docker compose config | awk '$1 == "WATERFLOW_DOMAIN:" {print $2; exit}')
  [[ $suffix != :443 ]] || suffix=
  at=([8080]=https://airflow.$domain$suffix [5000]=https://mlflow.$domain$suffix [8000]=https://serving.$domain$suffix
    [9000]=https://store.$domain$suffix [9001]=https://console.$domain$suffix)
}

why() { # After a failed start: which service, and its last words.
  local service state code health
  while read -r service state code health; do
    [[ $state == exited && $code != 0 || $state == restarting || $health == unhealthy ]] || continue
    echo "error: $service is ${health:-$state}, exit code $code; its last lines:" >&2
    docker compose logs --no-log-prefix --tail 5 "$service" >&2
  done < <(docker compose ps --all --format '{{.Service}} {{.State}} {{.ExitCode}} {{.Health}}')
}

clean() {
  local answer
  echo "This removes the stack's containers and volumes: every run, model, object, log and password."
  read -r -p "Type the stack's name, $(project), to go on: " answer
  [[ $answer == "$(project)" ]] || fail "nothing was removed"
  docker compose --profile '*' down --volumes --remove-orphans
}

project() { docker compose config --format json | sed -n 's/^  "name": "\(.*\)",$/\1/p'; }

"${1:?preflight, addresses, why or clean}"
