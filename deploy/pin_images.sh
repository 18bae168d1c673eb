#!/bin/sh
# Prints docker-compose.override.yml, which names each image by the digest that its release has now: those of services, and
# those that the Dockerfiles begin with. Pulls them.
#
#   deploy/pin_images.sh > docker-compose.override.yml      in the folder of docker-compose.yml
set -eu
digest() {
  found=$(docker pull "$1" | sed -n 's/^Digest: //p')
  [ -n "$found" ] && echo "${1%:*}@$found"
}

echo services:
sed -nE 's/^  ([a-z0-9]+):$/\1/p; s/^    image: (.*)/\1/p' docker-compose.yml | while read -r word; do
  case $word in
    dovetail-*) ;;
    *:*) pinned=$(digest "$word"); echo "  $service: {image: \"$pinned\"}" ;;
    *) service=$word ;;
  esac
done
for service in web worker; do
  printf '  %s:\n    build:\n      additional_contexts:\n' $service
  sed -nE 's/^FROM ([^ ]+).*/\1/p' deploy/$service.Dockerfile | while read -r base; do
    pinned=$(digest "$base"); echo "        \"$base\": docker-image://$pinned"
  done
done
