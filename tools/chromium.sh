#!/bin/sh
# Print the path of a Chromium, the first of: $CHROMIUM, one that is installed, one that apt-get installs (as root).
# Everything else that is said goes to stderr. No browser is a failure: its tests are not skipped.
set -eu

find_one() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name"; then
            return
        fi
    done
    mac="/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    if [ -x "$mac" ]; then
        echo "$mac"
        return
    fi
    return 1
}

if [ -n "${CHROMIUM:-}" ]; then
    if [ ! -x "$CHROMIUM" ]; then
        echo "CHROMIUM is set to $CHROMIUM, which cannot be run" >&2
        exit 1
    fi
    echo "$CHROMIUM"
    exit
fi
if find_one; then
    exit
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "no Chromium here: installing one with apt-get" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 </dev/null
    # With fonts for both scripts: a bare system has none.
    apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >&2 </dev/null
    find_one && exit
fi
echo "the tests need Chromium: install one (Debian: apt-get install chromium), or set CHROMIUM to its path" >&2
exit 1
