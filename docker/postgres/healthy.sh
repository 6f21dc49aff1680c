#!/bin/sh
# One of the stack's own roles, with its password, over the network.
PGPASSWORD=$(cat /run/secrets/waterflow_password) PGCONNECT_TIMEOUT=3 exec psql -qtA -h postgres -U waterflow -c SELECT
