#!/bin/sh
# Restores a backup into an empty database and checks it, beside the running hub, which notices nothing:
#
#   deploy/try_restore.sh /backup/NAME STORE      in the folder of docker-compose.yml; STORE as given to `backup --blobs`
set -eu
[ $# -eq 2 ] || { sed -n '2,4p' "$0"; exit 2; }
trial=dovetail_trial
sql() {
  docker compose exec -T postgres sh -c \
    'PGPASSWORD=$POSTGRES_PASSWORD exec psql -q -h 127.0.0.1 -U dovetail -d postgres -v ON_ERROR_STOP=1 -c "$1"' sh "$1"
}
password=$(docker compose exec -T postgres printenv POSTGRES_PASSWORD)
manage() {
  # By the environment: what stands in a command everybody on this machine can list while it runs.
  DOVETAIL_DATABASE_URL="postgres://dovetail:$password@postgres:5432/$trial" DOVETAIL_BLOBS="$2" \
    docker compose run --rm -T --no-deps -e DOVETAIL_DATABASE_URL -e DOVETAIL_BLOBS manage $1
}

sql "DROP DATABASE IF EXISTS $trial"
sql "CREATE DATABASE $trial"
trap 'sql "DROP DATABASE IF EXISTS $trial"' EXIT
manage "restore $1" "$2"
manage "verify_blobs --sample 1000" "$2"
manage "verify_audit" "$2"
