"""How a target is run: a hundred examples, always the same, in `make test`; new ones for ``FUZZ_SECONDS`` if set."""

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
ROUND = 1000  # examples between two looks at the clock

Check = Callable[..., None]


def fuzz(*strategies: st.SearchStrategy[Any], examples: int = 100) -> Callable[[Check], Callable[[], None]]:
    """Make a test of a function that takes one value of each strategy and fails if something is wrong."""

    def decorate(check: Check) -> Callable[[], None]:
        def test() -> None:
            rounds(check, *strategies, examples=examples)

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return test

    return decorate


def rounds(check: Check, *strategies: st.SearchStrategy[Any], examples: int = 100) -> None:
    """Run one round of examples, and further ones until the time that was asked for is over."""
    profile = settings(
        max_examples=min(examples, ROUND) if not SECONDS else ROUND,
        derandomize=not SECONDS,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run = profile(given(*strategies)(check))
    end = time.monotonic() + SECONDS
    run()
    while time.monotonic() < end:
        run()


# What parsers trip over, in any mixture: code points from everywhere, signs of the formats, hidden and wide characters.
SIGNS = st.sampled_from(
    [*list("\x00\t\n\r \"'`,;|=+-@<>[](){}!#*_~\\/:%&?.^$"), "\ufeff", "\u202e", "\u200b", "ı", "ß", "Ё"]
)
TEXT = st.lists(SIGNS | st.characters(exclude_categories=["Cs"]), max_size=60).map("".join)
# A surrogate comes from bytes that are no UTF-8.
ROUGH = st.lists(SIGNS | st.characters(), max_size=60).map("".join)
BYTES = st.binary(max_size=300)


def lines_of(*parts: str) -> st.SearchStrategy[str]:
    """Return texts put together from ``parts`` and anything."""
    return st.lists(st.sampled_from(parts) | TEXT, max_size=30).map("".join)
