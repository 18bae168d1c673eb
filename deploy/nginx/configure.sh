#!/bin/sh
# Prints nginx.conf from the template beside this file, filled in from the environment (docs/production.md):
#
#   HUB_SERVERS      web processes, such as "10.0.0.5:8000 10.0.0.6:8000" or unix:/run/hub.sock
#   S3_SERVERS       the S3 service whose presigned links begin with the hub's address; empty: they do not
#   PLANE            the read plane, such as "http://10.0.0.7:8333/dovetail-blobs/plane", which stands in for the hub
#                    while no web process answers; empty: nothing does
#   BLOBS            the folder of DOVETAIL_BLOBS, whose files nginx sends for a hub with DOVETAIL_ACCEL_REDIRECT=/_blobs;
#                    empty: the hub does
#   DOVETAIL_S3_HOST  the host of S3; with a port, nginx listens there as well
#   METRICS          on: /metrics is for whom the hub shows it to; else for nobody
#   OUTER_PROXIES    networks of the proxies in front of this one, separated by commas
#   OUTER_HEADER     where these write the client's address: X-Forwarded-For, another header, or proxy_protocol
#   NGINX_LISTEN     the address or port that nginx listens on
#   NGINX_RESOLVER   the name server that is asked again while nginx runs; nginx 1.27.3 and later
#   NGINX_INCLUDE    one more file for the server block
#   NGINX_USER       the user of nginx's own processes where root starts it; empty: the one that nginx was built for
#   NGINX_PROGRAM    nginx itself
#
# With `run` it writes the file into TMPDIR, which nginx's own user must be able to enter, and becomes nginx. With `reload`
# it writes the file again and has that nginx read it, if nginx finds no fault in it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=${TMPDIR:-/tmp}
outer=$(printf %s "${OUTER_PROXIES:-}" | tr ',' ' ')
header=${OUTER_HEADER:-X-Forwarded-For}
listen=${NGINX_LISTEN:-8080}
[ "$header" != proxy_protocol ] || listen="$listen proxy_protocol"

# Before 1.27.3 nginx looks up the names of servers once, at its start.
nginx=${NGINX_PROGRAM:-nginx}
version=$("$nginx" -v 2>&1 | sed 's|.*/\([0-9.]*\).*|\1|')
again="" resolver=""
if [ -n "${NGINX_RESOLVER:-}" ] && [ "$(printf '%s\n' 1.27.3 "$version" | sort -V | head -n 1)" = 1.27.3 ]; then
  again="resolve " resolver="resolver $NGINX_RESOLVER valid=2s;"
fi

servers() {
  for server in $1; do printf 'server %s %smax_fails=0; ' "$server" "$again"; done
}

each() {
  for network in $outer; do printf "$1 " "$network"; done
}

s3="" include=""
[ -z "${S3_SERVERS:-}" ] || s3="include $here/s3.conf;"
[ -z "${NGINX_INCLUDE:-}" ] || include="include $NGINX_INCLUDE;"

user="" metrics="return 404;"
[ -z "${NGINX_USER:-}" ] || user="user $NGINX_USER;"
# With the proxies before this one: what one of them passes on comes from elsewhere.
[ "${METRICS:-}" != on ] || metrics='proxy_pass http://hub; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;'

# Options of a socket may be named once, so the second server on it has none.
s3_host=${DOVETAIL_S3_HOST:-} s3_listen=${listen%% *}
case "$s3_host" in
*:*)
  s3_port=${s3_host##*:}
  case "$listen" in
  *:"$s3_port" | *:"$s3_port "* | "$s3_port" | "$s3_port "*) ;;
  *) s3_listen=$(printf %s "$listen" | sed -E "s/^(.*:)?[0-9]+( |$)/\\1$s3_port\\2/") ;;
  esac
  ;;
esac

plane=${PLANE:-} plane_host="" plane_scheme="" plane_path=""
if [ -n "$plane" ]; then
  plane_scheme=${plane%%://*} plane_host=${plane#*://}
  plane_path=/${plane_host#*/} plane_host=${plane_host%%/*}
  [ "$plane_scheme" != https ] || [ "$plane_host" != "${plane_host%:*}" ] || plane_port=:443
fi

# Puts the other files where they belong: the answers of nginx itself, and the parts for files and the read plane or nothing.
with_files() {
  plane_maps=$here/plane_maps.conf plane_location=$here/plane.conf
  [ -n "$plane" ] || plane_maps=/dev/null plane_location=/dev/null
  blobs_location=$here/accel.conf
  [ -n "${BLOBS:-}" ] || blobs_location=/dev/null
  s3_server=$here/s3_host.conf
  [ -n "$s3_host" ] || s3_server=/dev/null
  sed -e "/@PLANE_MAPS@/{r $plane_maps" -e "d}" -e "/@PLANE_LOCATION@/{r $plane_location" -e "d}" \
    -e "/@BLOBS_LOCATION@/{r $blobs_location" -e "d}" \
    -e "/@S3_HOST@/{r $s3_server" -e "d}" \
    -e "/@PAGE@/{r $here/unavailable/page.html" -e "d}" -e "/@ANSWER@/{r $here/unavailable/answer.json" -e "d}" \
    "$here/nginx.conf"
}

configuration() {
  with_files | sed -e "s|@HERE@|$here|g" -e "s|@WORK@|$work|g" -e "s|@LISTEN@|$listen|" -e "s|@RESOLVER@|$resolver|" \
    -e "s|@S3_LISTEN@|$s3_listen|" -e "s|@S3_NAME@|${s3_host%:*}|g" -e "s|@USER@|$user|" -e "s|@METRICS@|$metrics|" -e "s|@BLOBS@|${BLOBS:-}|" \
    -e "s|@HUB@|$(servers "${HUB_SERVERS:?name the web processes}")|" \
    -e "s|@S3@|$(servers "${S3_SERVERS:-127.0.0.1:9}")|" -e "s|@S3_LOCATION@|$s3|" \
    -e "s|@OUTER_HEADER@|$header|" -e "s|@SET_REAL_IP_FROM@|$(each 'set_real_ip_from %s;')|" \
    -e "s|@OUTER_NETWORKS@|$(each '%s 1;')|" -e "s|@INCLUDE@|$include|" -e "s|@PLANE_HOST@|$plane_host|" \
    -e "s|@PLANE_STORE@|$plane_scheme://plane$plane_path|" \
    -e "s|@PLANE_SERVERS@|$(servers "${plane_host:-127.0.0.1:9}${plane_port:-}")|"
}

case "${1:-}" in
run)
  configuration > "$work/nginx.conf"
  exec "$nginx" -c "$work/nginx.conf" -e /dev/stderr -g "daemon off;"
  ;;
reload)
  configuration > "$work/nginx.new"
  "$nginx" -t -q -c "$work/nginx.new" -e /dev/stderr
  mv "$work/nginx.new" "$work/nginx.conf"
  "$nginx" -c "$work/nginx.conf" -e /dev/stderr -s reload
  ;;
*) configuration ;;
esac
