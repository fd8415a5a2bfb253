"""Public keys of age, to which addresses are encrypted for one person outside."""

import re

from pyrage import RecipientError, x25519

from petition.core.errors import Refused
from petition.core.i18n import N_

NO_KEY = N_(
    "This is not an age public key. It starts with age1 and has 62 characters; age-keygen shows it as “Public key”."
)
PRIVATE = N_(
    "This is a secret key. Never show it to anyone. Make a new one and paste its public key, which starts with age1."
)
MAX_SHOWN = 200  # characters of what was typed

_RECIPIENT = re.compile("age1[02-9ac-hj-np-z]{58}")


def recipient_of(typed: str) -> str:
    """Return the public key that was typed. Raises ``Refused``."""
    recipient = typed.strip()
    if "AGE-SECRET-KEY" in recipient.upper():
        raise Refused(PRIVATE, "recipient")
    if not _RECIPIENT.fullmatch(recipient):
        raise Refused(NO_KEY, "recipient")
    try:
        x25519.Recipient.from_str(recipient)
    except RecipientError:
        raise Refused(NO_KEY, "recipient") from None
    return recipient


def shown_again(typed: str) -> str:
    """Return what was typed, to correct it; nothing of a secret key."""
    return "" if "SECRET" in typed.upper() else typed[:MAX_SHOWN]
