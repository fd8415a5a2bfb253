#!/bin/sh
# Make a virtual environment, or say in one line what is missing: venv.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

if ! command -v "$python" >/dev/null 2>&1; then
    echo "$python was not found; install Python 3.11 or newer, or name one: make install PYTHON=python3.13" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$("$python" --version) is too old, 3.11 or newer is needed; name one: make install PYTHON=python3.13" >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "this Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi
# A folder that an interrupted run left is made anew.
exec "$python" -m venv --clear "$folder"
