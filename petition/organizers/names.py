"""Names of organizers, as their colleagues see them."""

from petition.i18n import N_
from petition.organizers.model import Refused
from petition.text import clean, has_direction_mark, has_hidden

LONGEST_NAME = 80
BAD_NAME = N_("Please write a name of 1 to 80 characters.")


def checked_name(typed: str) -> str:
    """Return a name that colleagues may be shown. Raises ``Refused``."""
    called = clean(typed)
    if not 1 <= len(called) <= LONGEST_NAME or has_hidden(called) or has_direction_mark(called):
        raise Refused(BAD_NAME, "name")
    return called
