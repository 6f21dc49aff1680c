#!/usr/bin/env bash
# Makes sure that the browser test has a Chromium: from the distribution's packages, where this may be installed.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo "browser: NO CHROMIUM: the browser test will be skipped" >&2
