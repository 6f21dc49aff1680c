#!/usr/bin/env bash
# Checks the expressions in GitHub's workflows, with actionlint, a Go module; `make check` covers their schema and their security.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v go >/dev/null || { echo "actionlint: NOT CHECKED: there is no Go on this machine" >&2; exit 0; }
# shellcheck is left out: it would check what happens to be installed.
go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 -shellcheck= -pyflakes=
echo "actionlint: the workflows' expressions are valid"
