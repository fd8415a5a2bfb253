#!/bin/sh
# See that there is a curl: the API's page has examples for it, which the tests run. apt-get installs it (as root).
set -eu

if ! command -v curl >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "no curl here: installing one with apt-get" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 </dev/null
    apt-get install -qq -y --no-install-recommends curl >&2 </dev/null
fi
if ! command -v curl >/dev/null 2>&1; then
    echo "the tests need curl: install it (Debian: apt-get install curl)" >&2
    exit 1
fi
