#!/usr/bin/env bash
# Asks OSV (osv.dev) for known vulnerabilities of every locked Python package. Green means that it was asked and had no answer:
# a package that cannot be audited is an error, and so is a database that does not know an old release's well-known ones.
#
#   OSV_URL          another address of OSV's query API
set -euo pipefail
cd "$(dirname "$0")/.."

audit() {
  .venv-supply/bin/pip-audit --strict --disable-pip --progress-spinner off --vulnerability-service osv ${OSV_URL:+--osv-url "$OSV_URL"} "$@"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo jinja2==2.11.2 >"$scratch/old"
if audit --no-deps --format json --requirement "$scratch/old" >"$scratch/answer" 2>"$scratch/log" || ! grep -q '"id": "' "$scratch/answer"; then
  tail -n 1 "$scratch/log" >&2
  echo "error: the database names no vulnerability of jinja2 2.11.2, which has several: it was not asked, or does not answer" >&2
  exit 1
fi

failed=0
for lock in requirements*.lock; do
  echo "$lock"
  audit --require-hashes --requirement "$lock" || failed=1
done
exit $failed
