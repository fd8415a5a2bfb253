"""``python -m tests.leaks.loud …``: ``petition …`` with every line in its log that any level would write."""

import logging
import sys

from petition.core import logs

_configure = logs.configure


def _loudly(level: str | int = logging.DEBUG) -> None:
    _configure(min(logging.DEBUG, level) if isinstance(level, int) else logging.DEBUG)
    logging.getLogger("petition.tests").debug("every line is written")


logs.configure = _loudly

if __name__ == "__main__":
    from petition.cli.main import main

    sys.exit(main(sys.argv[1:]))
