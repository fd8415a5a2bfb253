"""Public randomness: rounds of drand's network "quicknet", or another source that the announcement describes.

A value of drand is pasted as its servers answer. That it belongs to its round, and that the randomness is the hash of
the round's signature, is checked here; the signature itself by each reader who wants to, with drand's own client.
"""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from petition.core import text_cleaning
from petition.core.errors import Refused
from petition.core.i18n import N_

CHAIN = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
GENESIS = datetime.fromtimestamp(1692803367, UTC)  # of the chain: round 1
PERIOD = timedelta(seconds=3)
MAX_VALUE = 300  # characters of another source's value
MAX_PASTED = 4000

NOT_DRAND = N_('Paste the whole answer of a drand server: {"round": …, "randomness": …, "signature": …}')
OTHER_ROUND = N_("This is the answer of another round.")
DAMAGED = N_("The randomness is not the hash of the signature. Copy the answer once more.")
NO_VALUE = N_("Enter the value exactly as it was published, up to 300 characters.")


class RandomSource(StrEnum):
    DRAND = "drand"
    OTHER = "other"


def round_at(moment: datetime) -> int:
    """Return the first round of drand that is published at a moment or later."""
    return -((GENESIS - moment) // PERIOD) + 1


def address_of(number: int) -> str:
    """Return where drand's servers publish a round."""
    return f"https://api.drand.sh/{CHAIN}/public/{number}"


def read_value(source: RandomSource, number: int | None, pasted: str) -> str:
    """Return the value that is drawn with: of drand 64 hexadecimal digits. Raises ``Refused``."""
    return _read_other(pasted) if source is RandomSource.OTHER else _read_drand(number, pasted)


def _read_other(pasted: str) -> str:
    value = text_cleaning.clean(pasted)
    if not 1 <= len(value) <= MAX_VALUE or text_cleaning.has_hidden(value) or text_cleaning.has_direction_mark(value):
        raise Refused(NO_VALUE, "value")
    return value


def _read_drand(number: int | None, pasted: str) -> str:
    try:
        answer = json.loads(pasted[:MAX_PASTED])
        round_number, randomness, signature = answer["round"], answer["randomness"], bytes.fromhex(answer["signature"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(NOT_DRAND, "value") from None
    if not isinstance(randomness, str) or not re.fullmatch("[0-9a-f]{64}", randomness):
        raise Refused(NOT_DRAND, "value")
    if round_number != number:
        raise Refused(OTHER_ROUND, "value")
    if hashlib.sha256(signature).hexdigest() != randomness:
        raise Refused(DAMAGED, "value")
    return randomness
