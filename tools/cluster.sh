#!/bin/sh
# See that the parts are there of which `make cluster` builds its machines. apt-get installs them (as root) without
# starting any of them: the drill starts its own, in network namespaces.
set -eu

PATH="$PATH:/usr/sbin:/sbin" # where Debian keeps servers
missing=""
for pair in etcd:etcd-server patroni:patroni haproxy:haproxy pgbouncer:pgbouncer nginx:nginx varnishd:varnish ip:iproute2; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
# What Patroni needs to speak to etcd, the vmod that purges by key, and a server without a cluster of its own.
[ -d /usr/lib/python3/dist-packages/etcd ] || missing="$missing python3-etcd"
ls /usr/lib/*/varnish/vmods/libvmod_xkey.so >/dev/null 2>&1 || missing="$missing varnish-modules"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "the cluster needs these packages: install them (Debian: apt-get install$missing)" >&2
    exit 1
fi
echo "installing with apt-get:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then # invoke-rc.d asks it whether a service may start
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
apt-get update -qq >&2 </dev/null
# shellcheck disable=SC2086 # several words
apt-get install -qq -y --no-install-recommends $missing >&2 </dev/null
