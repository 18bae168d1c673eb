#!/bin/sh
# As the project's image starts `server`: with flags of its own first, one of which reserves a whole volume at a time.
set -eu
[ "${1:-}" = server ] || exec weed "$@"
shift
exec weed -logtostderr=true server -dir=/data -master.volumePreallocate -master.volumeSizeLimitMB=1024 "$@"
