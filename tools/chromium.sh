#!/bin/sh
# Print the path of a Chromium, the first of: $CHROMIUM, one that is installed, one that apt-get installs (as root).
# Everything else that is said goes to stderr. No browser is a failure: its tests are not skipped.
#
# With "shell": the path of the headless shell, which is the same engine without windows (a context costs a third in it,
# but no page stays alive for the way back), the first of: $HEADLESS_SHELL, one that is installed, one that apt-get
# installs (as root), and where there is none the whole Chromium.
set -eu

find_one() {
    for name in "$@"; do
        if command -v "$name"; then
            return
        fi
    done
    return 1
}

find_chromium() {
    if find_one chromium chromium-browser google-chrome google-chrome-stable; then
        return
    fi
    mac="/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    if [ -x "$mac" ]; then
        echo "$mac"
        return
    fi
    return 1
}

# Print $2, the value of the variable $1, which is a path. It is a failure when it cannot be run.
check() {
    if [ ! -x "$2" ]; then
        echo "$1 is set to $2, which cannot be run" >&2
        exit 1
    fi
    echo "$2"
    exit
}

can_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1
}

install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 </dev/null
    apt-get install -qq -y --no-install-recommends "$@" >&2 </dev/null
}

if [ "${1:-}" = shell ]; then
    [ -z "${HEADLESS_SHELL:-}" ] || check HEADLESS_SHELL "$HEADLESS_SHELL"
    find_one chromium-headless-shell && exit
    if can_install; then
        echo "no headless shell here: installing one with apt-get" >&2
        install chromium-headless-shell || echo "there is none: the whole Chromium will do" >&2
        find_one chromium-headless-shell && exit
    fi
fi
[ -z "${CHROMIUM:-}" ] || check CHROMIUM "$CHROMIUM"
find_chromium && exit
if can_install; then
    echo "no Chromium here: installing one with apt-get" >&2
    install chromium fonts-dejavu-core # with fonts for both scripts: a bare system has none
    find_chromium && exit
fi
echo "the tests need Chromium: install one (Debian: apt-get install chromium), or set CHROMIUM to its path" >&2
exit 1
