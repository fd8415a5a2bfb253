"""``python -m petition`` is the same command as ``petition``."""

import sys

from petition.cli.main import main

sys.exit(main())
