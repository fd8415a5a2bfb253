#!/bin/sh
# Print the path of the Nu HTML checker: $VNU_JAR, or the npm package vnu-jar, kept beside the virtual environment's files.
# Java and npm come with apt-get (as root) where they are missing. Everything else that is said goes to stderr.
set -eu
cd "${0%/*}/.."
version=26.9.27
sum=22f15dd39a33bed929d2a5c0cddf5946849a647eca9272bf4d5d00bc7e7a4d47

if [ -n "${VNU_JAR:-}" ]; then
    if [ ! -r "$VNU_JAR" ]; then
        echo "VNU_JAR is set to $VNU_JAR, which cannot be read" >&2
        exit 1
    fi
    echo "$VNU_JAR"
    exit
fi

need() { # a command, the package that brings it
    command -v "$1" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "no $1 here: installing $2 with apt-get" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2 </dev/null
        apt-get install -qq -y --no-install-recommends "$2" >&2 </dev/null
    fi
    if ! command -v "$1" >/dev/null 2>&1; then
        echo "the tests need $1: install it (Debian: apt-get install $2), or set VNU_JAR to the checker's path" >&2
        exit 1
    fi
}

jar=${VENV:-$PWD/.venv}/vnu-$version.jar
need java default-jre-headless
if [ ! -r "$jar" ]; then
    need npm npm
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (cd "$folder" && npm pack --silent "vnu-jar@$version" >/dev/null && tar -xf "vnu-jar-$version.tgz") >&2 </dev/null
    echo "$sum  $folder/package/build/dist/vnu.jar" | sha256sum --check --quiet >&2
    mv "$folder/package/build/dist/vnu.jar" "$jar"
fi
echo "$jar"
