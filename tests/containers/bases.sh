#!/bin/sh
# Builds stand-ins for the base images (bases.Dockerfile) under the names that docker-compose.yml and the Dockerfiles use:
# those that Docker does not have. For a machine without a registry of images; needs mmdebstrap (as root) and buildx.
set -eu
cd "$(dirname "$0")"
docker image inspect roots/trixie > /dev/null 2>&1 ||
  mmdebstrap --variant=minbase --include=ca-certificates,netbase,tzdata trixie - | docker import - roots/trixie
sed -nE 's/^ *(image:|FROM) ([a-z0-9/-]+:[^ @]+).*/\2/p' ../../docker-compose.yml ../../deploy/*.Dockerfile |
  grep -v ^dovetail- | sort -u | while read -r name; do
  target=${name%%:*} target=${target##*/}
  [ "$target" != seaweedfs ] || target=s3
  docker image inspect "$name" > /dev/null 2>&1 || docker build --quiet --target "$target" -t "$name" -f bases.Dockerfile \
    --build-context certificates=/etc/ssl/certs .
done
