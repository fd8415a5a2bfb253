#!/bin/sh
# For /usr/local/sbin/letters: runs any command of petition with the settings of the worker and under its account, for
# example `letters check`. As root, who alone may read the settings.
set -aeu
. "${PETITION_ETC:-/etc/petition}/letters.env"
. "${PETITION_ETC:-/etc/petition}/worker.env"
DATA_DIR="${DATA_DIR:-/var/lib/petition-worker}"
account="${PETITION_ACCOUNT:-petition-worker}"
exec setpriv --reuid="$account" --regid="$(id -g "$account")" --clear-groups \
    "${PETITION_COMMAND:-/opt/petition/bin/petition}" "$@"
