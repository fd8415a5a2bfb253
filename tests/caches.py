"""What each installation would read and compile anew is kept for the run, so that a test has one of its own cheaply."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket

from petition.core import i18n, templates
from petition.core.i18n import Language, Languages
from petition.letters import published


class Compiled(BytecodeCache):
    """The code of templates, under a digest of their sources."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        kept = self._kept.get((bucket.key, bucket.checksum))
        if kept is not None:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


def keep() -> None:
    """Have each catalogue read once, each template compiled once a language, and the count looked at more often."""
    published.INTERVAL = 0.1
    i18n._load_one = _reading_once(i18n._load_one)  # type: ignore[assignment]
    templates._environment = _compiling_once(templates._environment)  # type: ignore[assignment]


def _reading_once(read: Callable[[Path, str], Language]) -> Callable[[Path, str], Language]:
    kept: dict[tuple[str, bytes], Language] = {}

    def once(folder: Path, code: str) -> Language:
        key = code, (folder / code / "LC_MESSAGES" / f"{i18n.DOMAIN}.po").read_bytes()
        if key not in kept:
            kept[key] = read(folder, code)
        return kept[key]

    return once


def _compiling_once(make: Callable[[Language, Languages], Environment]) -> Callable[[Language, Languages], Environment]:
    kept: defaultdict[tuple[str, str], Compiled] = defaultdict(Compiled)  # constants are worked out while compiling

    def environment(language: Language, languages: Languages) -> Environment:
        made = make(language, languages)
        made.bytecode_cache = kept[language.code, str(language.locale)]
        return made

    return environment
