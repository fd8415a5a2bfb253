#!/bin/sh
# See that the servers are there which the tests put before ours or mail through: nginx, Caddy, PgBouncer, Postfix and
# Varnish; and the program that reads units of systemd.
# apt-get installs them (as root). No server is a failure: its tests are not skipped.
set -eu

PATH="$PATH:${SBIN:-/usr/sbin:/sbin}" # where Debian keeps them
missing=""
for name in nginx caddy pgbouncer postfix; do
    command -v "$name" >/dev/null 2>&1 || missing="$missing $name"
done
command -v varnishd >/dev/null 2>&1 || missing="$missing varnish"
ls "${LIB:-/usr/lib}"/*/varnish/vmods/libvmod_xkey.so >/dev/null 2>&1 || missing="$missing varnish-modules"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing with apt-get:$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    policy="${POLICY:-/usr/sbin/policy-rc.d}"
    if [ ! -e "$policy" ]; then # asked whether a service may start: the tests start their own
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq >&2 </dev/null
    # No mail system of the machine's own: the tests bring their settings.
    if command -v debconf-set-selections >/dev/null 2>&1; then
        echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    fi
    # shellcheck disable=SC2086 # several words
    apt-get install -qq -y --no-install-recommends $missing >&2 </dev/null
    exit 0
fi
echo "the tests need these servers: install them (Debian: apt-get install$missing)" >&2
exit 1
