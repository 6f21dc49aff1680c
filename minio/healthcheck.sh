#!/usr/bin/env bash
# Is the store ready? Asked with bash alone: the image has no curl, and a check every few seconds should cost nothing.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/9000
printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1:9000\r\n\r\n' "${1:-/minio/health/ready}" >&3
read -r _ status _ <&3
[[ $status == 200 ]]
