#!/usr/bin/env bash
# How this machine reaches package registries, for image builds: what its environment and its tools' settings say.
#
#   eval "$(ci/build-args.sh)"          exports the variables, which docker-compose.yml hands to builds
#   docker build $(ci/build-args.sh --docker) ...
#
# PIP_INDEX_URL          pip's index
# UV_DEFAULT_INDEX       uv's index; default: pip's
# GOPROXY GOSUMDB        Go's module proxy and checksum database
#
# Each is empty on a machine without special settings, and an empty one means the tool's own default. Docker itself passes on
# HTTP_PROXY, HTTPS_PROXY and NO_PROXY of ~/.docker/config.json. A private certificate authority is no variable: it has to be
# in the base images (docs/how-to/without-registry.md).
set -euo pipefail

setting() { "$@" 2>/dev/null || true; }

PIP_INDEX_URL=${PIP_INDEX_URL:-$(setting python3 -m pip config get global.index-url)}
UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-$PIP_INDEX_URL}}
for name in GOPROXY GOSUMDB; do
  # -changed: Go's defaults differ between versions and distributions; only this machine's own choice is passed on.
  [[ -n ${!name:-} ]] || printf -v "$name" %s "$(setting go env -changed -json "$name" | sed -nE 's/^\t"[A-Z]+": "(.*)",?$/\1/p')"
done

for name in PIP_INDEX_URL UV_DEFAULT_INDEX GOPROXY GOSUMDB; do
  [[ -n ${!name} ]] || continue
  case ${1:-} in
    --docker) printf -- '--build-arg %s=%s\n' "$name" "${!name}" ;;
    *) printf 'export %s=%q\n' "$name" "${!name}" ;;
  esac
done
