"""The witness as one file: the modules that it consists of, as they are, and the lines that import them from there."""

import hashlib
from functools import cache
from importlib import resources

MODULES = (
    *("core.errors", "core.signed_notes", "count_log.merkle", "count_log.tiles", "count_log.entries"),
    *("count_log.checkpoints", "count_log.cosignatures", "count_log.verifying", "count_log.witness_files"),
    *("count_log.served_logs", "count_log.witness"),
)
NAME = "petition-witness.py"
QUOTES = "'''"  # which no module has

HEAD = '''#!/usr/bin/env python3
"""A witness of Petition: checks the log of a letter's count, and cosigns its checkpoint. Made for cron.

    python3 petition-witness.py URL --key FILE --state FILE

It needs Python 3.11 and the library cryptography (Debian: python3-cryptography). Below are the modules of the program
Petition that check logs, as they are; the last lines import them from here.
"""

import importlib.abc
import importlib.util
import sys

if sys.version_info < (3, 11):
    sys.exit("witness: this needs Python 3.11 or newer")

SOURCES = {}
'''

TAIL = '''

class _Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports what stands above, and the empty packages around it."""

    def find_spec(self, name, path=None, target=None):
        is_package = any(source.startswith(name + ".") for source in SOURCES)
        if name in SOURCES or is_package:
            return importlib.util.spec_from_loader(name, self, is_package=is_package)
        return None

    def get_source(self, name):
        return SOURCES.get(name, "")

    def is_package(self, name):
        return name not in SOURCES


sys.meta_path.insert(0, _Finder())
try:
    from petition.count_log.witness import main
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "cryptography":
        raise
    sys.exit("witness: the library cryptography is missing: apt install python3-cryptography")

if __name__ == "__main__":
    sys.exit(main())
'''


@cache
def content() -> bytes:
    """Return the file."""
    parts = [HEAD]
    for module in MODULES:
        source = _source(module)
        if QUOTES in source or not source.endswith("\n"):
            raise ValueError(f"{module} cannot stand between {QUOTES}")
        parts.append(f'\nSOURCES["petition.{module}"] = r{QUOTES}{source}{QUOTES}\n')
    return "".join([*parts, TAIL]).encode()


def sha256() -> str:
    """Return the digest of the file, 64 hexadecimal digits."""
    return hashlib.sha256(content()).hexdigest()


def _source(module: str) -> str:
    package, _, name = module.rpartition(".")
    return (resources.files(f"petition.{package}") / f"{name}.py").read_text(encoding="utf-8")
