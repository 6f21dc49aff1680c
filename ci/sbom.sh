#!/usr/bin/env bash
# Writes what the product is made of as CycloneDX, without asking a network: the locked Python packages, and the Debian
# packages of those of the stack's images that this machine has. `make sbom` sets up the tools.
#
#   ci/sbom.sh [FOLDER]     default: .waterflow/sbom
set -euo pipefail
cd "$(dirname "$0")/.."

tools=.venv-supply/bin
out=${1:-.waterflow/sbom}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf "$out"
mkdir -p "$out"

for lock in requirements.lock requirements-dvc.lock requirements-bert.lock requirements-catboost.lock requirements-lightgbm.lock; do
  $tools/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o "$out/$lock.cdx.json" "$lock" 2>"$scratch/log" ||
    { cat "$scratch/log" >&2; exit 1; }
done

images() { # Every image of the stack, ours and those that are pulled.
  docker info >/dev/null 2>&1 || { echo "sbom: no Docker Engine answers: Python packages only" >&2; return; }
  WATERFLOW_DOMAIN=localhost docker compose -f docker-compose.yml -f docker-compose.tls.yml --profile '*' config --images | sort -u
}

for image in $(images); do
  if ! container=$(docker create "$image" 2>/dev/null); then
    echo "sbom: image $image is not here: left out" >&2
    continue
  fi
  name=$(tr '/:' '--' <<<"$image")
  mkdir -p "$scratch/$name/var/lib"
  docker cp "$container:/var/lib/dpkg" "$scratch/$name/var/lib/" >/dev/null
  docker rm "$container" >/dev/null
  $tools/debsbom generate -t cdx --root "$scratch/$name" --distro-name "$image" --out "$out/$name" 2>"$scratch/log" ||
    { cat "$scratch/log" >&2; exit 1; }
done
wc -c "$out"/*.json
