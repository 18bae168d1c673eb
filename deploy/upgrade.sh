#!/bin/sh
# Takes the hub of docker-compose.yml to this checkout and this .env while it answers: an upgrade, a new secret, or the
# way back to the release before.
#
#   deploy/upgrade.sh                BUILD= where the images are made elsewhere
#
# First the images and the tables: if either fails, nothing that runs has been touched. Then the web processes, each
# new one beside the others until it is healthy. PostgreSQL, Redis and S3 are left alone, also where .env says other
# things of them: `docker compose up -d` starts them anew.
set -eu
cd "$(dirname "$0")/.."
say() { printf '\n%s\n' "$*"; }
# Compose counts the dependencies of a service to what it is made of: with --no-deps, the next `up` would make it anew.
add() { docker compose up -d --wait --no-recreate "$@"; }
label() { docker inspect --format "{{index .Config.Labels \"com.docker.compose.$2\"}}" "$1"; }

say "Images"
[ -z "${BUILD=web worker}" ] || docker compose build $BUILD
say "Tables, while the old release goes on"
docker compose rm -f migrate
docker compose create --no-recreate migrate
docker start -a "$(docker compose ps -aq migrate)" || {
  say "The tables are not those of this release. Nothing was stopped: the old release goes on." >&2
  exit 1
}
old=$(docker compose ps -q web)
for one in $old; do
  say "A new web process in place of number $(label "$one" container-number)"
  add --scale web=$(($(echo "$old" | wc -w) + 1)) web || {
    say "It is not healthy: 'docker compose logs web' says why. The old ones go on." >&2
    exit 1
  }
  docker stop -t 90 "$one" > /dev/null
  docker rm "$one" > /dev/null
done
say "Workers and the clock, which end what they do; nginx only where docker-compose.yml says other things of it"
docker compose rm -fs worker beat
nginx=$(docker compose ps -q nginx)
[ "$(docker compose config --hash nginx)" = "nginx $(label "$nginx" config-hash)" ] || docker compose rm -fs nginx
add
docker compose exec -T nginx sh /etc/dovetail/configure.sh reload
say "Done."
