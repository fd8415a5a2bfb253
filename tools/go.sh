#!/bin/sh
# See that Go and its library of transparency logs are there, which verify our proofs independently of us.
# apt-get installs them (as root). Without them the tests verify with a second implementation of their own, and say so.
set -eu

LIBRARY="${GO_LIBRARY:-/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog}"
if command -v go >/dev/null 2>&1 && [ -d "$LIBRARY" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing with apt-get: golang-go golang-golang-x-mod-dev" >&2
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq >&2 </dev/null &&
        apt-get install -qq -y --no-install-recommends golang-go golang-golang-x-mod-dev >&2 </dev/null; then
        exit 0
    fi
fi
echo "no Go here: proofs are verified by the tests' own second implementation (Debian: apt-get install golang-go" \
    "golang-golang-x-mod-dev)" >&2
