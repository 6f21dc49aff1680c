#!/usr/bin/env bash
# Makes sure that the base images the project builds on are there: base-images.sh [debian] [python] [golang] [postgres]
#
# An image that is present stays; otherwise it is pulled; where no image registry can be reached, a stand-in of the same
# name is made from Debian's packages (docs/how-to/without-registry.md). Docker prefers a local image of that name, so no file
# of the project knows the difference.
#
# DEBIAN_MIRROR  where stand-ins take Debian from; default: this machine's own apt sources, else debootstrap's default
# PULL_TIMEOUT   seconds a pull may take before a stand-in is made; default 120
set -euo pipefail
cd "$(dirname "$0")"

DEBIAN=debian:trixie-slim
PYTHON=python:3.13-slim-trixie
GOLANG=golang:1.26-trixie
POSTGRES=postgres:17
RELEASE=trixie

say() { echo "base-images: $*" >&2; }
die() { say "NO BASE IMAGE: $*"; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

present() { docker image inspect "$1" >/dev/null 2>&1; }

pulled() {
  timeout "${PULL_TIMEOUT:-120}" docker pull --quiet "$1" >/dev/null 2>"$scratch/pull" && say "$1: pulled" && return
  say "$1: cannot be pulled ($(tail -n 1 "$scratch/pull")): making a stand-in"
  return 1
}

# The machine's own Debian mirrors, for the stand-in's release: "URI suite" per line, the main archive first.
mirrors() {
  if [[ -n ${DEBIAN_MIRROR:-} ]]; then
    echo "$DEBIAN_MIRROR $RELEASE"
    return
  fi
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
    awk -v own="$codename" -v new="$RELEASE" \
      '$1 == "Debian" && $2 == "main" && $4 ~ "^" own "(-updates|-security)?$" { sub("^" own, new, $4); print $3, $4 }' |
    sort -u -k 2,2 || true
}

trusted_certificates() { # A private authority of this machine must be trusted inside too, or no registry is.
  local bundle
  for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    [[ -s $bundle ]] && echo "$bundle" && return
  done
  return 0
}

make_debian() {
  ((EUID == 0)) || die "$DEBIAN: debootstrap needs root"
  command -v debootstrap >/dev/null || { apt-get update && apt-get install -y debootstrap debian-archive-keyring; } >"$scratch/log" 2>&1 ||
    die "$DEBIAN: debootstrap cannot be installed: $(tail -n 1 "$scratch/log")"
  local root=$scratch/root archive bundle
  archive=$(mirrors | awk -v main="$RELEASE" '$2 == main { print $1; exit }')
  debootstrap --variant=minbase --include=ca-certificates "$RELEASE" "$root" ${archive:+"$archive"} >"$scratch/log" 2>&1 ||
    die "$DEBIAN: debootstrap failed: $(tail -n 1 "$scratch/log")"
  mirrors | while read -r uri suite; do echo "deb $uri $suite main"; done >"$scratch/sources"
  [[ -s $scratch/sources ]] && cp "$scratch/sources" "$root/etc/apt/sources.list"
  bundle=$(trusted_certificates)
  [[ -n $bundle ]] && cp -L "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
  # The bundle is made again whenever a package adds a certificate: what this machine added must be among its sources.
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} + 2>/dev/null || true
  cp base-images/slim.apt.conf "$root/etc/apt/apt.conf.d/docker-clean"
  cp base-images/slim.dpkg.cfg "$root/etc/dpkg/dpkg.cfg.d/docker"
  rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* \
    "$root"/usr/share/locale/* "$root"/etc/machine-id "$root"/etc/resolv.conf "$root"/etc/hostname
  tar -C "$root" --numeric-owner -c . | docker import --change 'CMD ["bash"]' - "$DEBIAN" >/dev/null
}

make_golang() {
  local goroot
  goroot=$(go env GOROOT 2>/dev/null) || die "$GOLANG: a stand-in takes the Go of this machine, and there is none"
  mkdir -p "$scratch/golang/go"
  cp base-images/golang.Dockerfile "$scratch/golang/Dockerfile"
  # A distribution's GOROOT is full of links: take the files.
  tar -C "$goroot" -hc . | tar -C "$scratch/golang/go" -x
  build "$GOLANG" "$scratch/golang"
}

make_python() { build "$PYTHON" base-images -f base-images/python.Dockerfile; }
make_postgres() { build "$POSTGRES" base-images -f base-images/postgres.Dockerfile; }

build() {
  local image=$1
  shift
  docker build --quiet --build-arg "DEBIAN=$DEBIAN" --tag "$image" "$@" >"$scratch/log" 2>&1 ||
    die "$image: docker build failed: $(tail -n 5 "$scratch/log")"
}

provide() {
  local name=$1 image=$2 started=$SECONDS
  present "$image" && return
  pulled "$image" && return
  [[ $name == debian ]] || provide debian "$DEBIAN"
  "make_$name"
  say "$image: stand-in made in $((SECONDS - started)) s"
}

docker info >/dev/null 2>&1 || die "the Docker Engine does not answer (docker-engine.sh gives one)"
(($#)) || set -- debian python golang postgres
for name; do
  case $name in
    debian) provide debian "$DEBIAN" ;;
    python) provide python "$PYTHON" ;;
    golang) provide golang "$GOLANG" ;;
    postgres) provide postgres "$POSTGRES" ;;
    *) die "no image is called '$name': debian, python, golang or postgres" ;;
  esac
done
