"""Settings to test challenges with, and answers to challenges, made without a browser."""

import base64
import json
from pathlib import Path
from typing import Any

import altcha

from petition.captcha.pow import Price
from petition.core.ids import LetterId
from petition.core.settings import Process, Settings, load

KEY = "a secret key of this test that is long enough"
OTHER_KEY = "another secret key that is just as long"
LETTER = LetterId(7)

# Signed prices are believed, so a cheap challenge is as good as a hard one and is solved in a millisecond.
CHEAP = Price(iterations=10, numbers=range(1, 4), hard_numbers=(range(4, 8), range(8, 12), range(12, 16)))


def settings(folder: Path, **environ: str) -> Settings:
    """Return the settings of a loopback installation."""
    return load({"DATA_DIR": str(folder), "SECRET_KEY": KEY, **environ}, role=Process.WEB)


def solve(challenge: dict[str, Any]) -> str:
    """Return the form field that solves ``challenge``, as the library itself does it."""
    read = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(read)
    assert solution is not None
    return altcha.Payload(read, solution).to_base64()


def changed(payload: str, place: str, value: object) -> str:
    """Return ``payload`` with one value put in another's place, named like ``challenge.parameters.data``."""
    whole = json.loads(base64.b64decode(payload))
    *way, last = place.split(".")
    inner = whole
    for step in way:
        inner = inner[step]
    inner[last] = value
    return base64.b64encode(json.dumps(whole).encode()).decode()
