"""Names that no one can read yet: sealed while signing, to the key that only the worker has.

See docs/decisions/sealed-names.md.
"""

import base64
from collections.abc import Mapping

from petition.core.encryption import Sealer
from petition.signatures.flags import is_obscene

SEALED = "sealed"  # beside the fields of a pending signature, in place of the names
PERSONAL = ("name", "affiliation", "city", "position")
OBSCENE = "obscene"  # a signal: no one can look for it later
NAMES = (*PERSONAL, "organization_en", "organization_ru")


def seal(sealer: Sealer, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields to store, with all that names the person in one of them, which only the worker opens."""
    rest, sealed = split(sealer, fields)
    return rest if sealed is None else rest | {SEALED: base64.b64encode(sealed).decode()}


def split(sealer: Sealer | None, fields: Mapping[str, str]) -> tuple[dict[str, str], bytes | None]:
    """Return (the fields that do not name the person, the others sealed; None if there are none)."""
    if sealer is None:  # never stored in the clear instead
        raise TypeError("a letter whose names wait needs the key to seal them")
    personal = {key: fields[key] for key in PERSONAL if fields.get(key)}
    rest = {key: value for key, value in fields.items() if key not in PERSONAL}
    return rest, sealer.seal_fields(personal) if personal else None


def take(fields: dict[str, str]) -> bytes | None:
    """Remove what is sealed from the fields of a pending signature; return it, if there is anything."""
    sealed = fields.pop(SEALED, None)
    return None if sealed is None else base64.b64decode(sealed)


def signals_before(fields: Mapping[str, str]) -> dict[str, object]:
    """Return the signals of names that are about to be sealed, beside those of any form."""
    return {OBSCENE: True} if any(is_obscene(fields[key]) for key in NAMES if fields.get(key)) else {}
