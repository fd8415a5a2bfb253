#!/bin/sh
# See that libfaketime is there, with which chaos moves the clocks of our processes. apt-get installs it (as root).
# Without it the two faults of the clock do not happen, and the run says so.
set -eu

ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing with apt-get: faketime" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 </dev/null
    apt-get install -qq -y --no-install-recommends faketime >&2 </dev/null
fi
