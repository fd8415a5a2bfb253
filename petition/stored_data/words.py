"""Words that many entries share, and the periods that pages say and the retention job keeps."""

from petition.core.i18n import N_
from petition.stored_data.model import RetentionPeriod, Until

CONFIRMATION = RetentionPeriod(7)
AFTER_CLOSING = RetentionPeriod(30)  # then the digest key is destroyed
REPRESENTATIVES = RetentionPeriod(30)
CHALLENGES = RetentionPeriod(1, "hours")
ACCESS = RetentionPeriod(90)
NAME_READINGS = RetentionPeriod(1)
PACKAGES = RetentionPeriod(60)
RELAY_HOURS = RetentionPeriod(30)
RELAY_TESTS = RetentionPeriod(7)
SESSION = RetentionPeriod(7)
REMOVED = RetentionPeriod(90)  # names of removed signatures
AUDIT_ADDRESSES = RetentionPeriod(30)  # encrypted to an auditor's key
UNDONE = RetentionPeriod(7)
NETWORKS = RetentionPeriod(2)

NUMBERS = N_("numbers and times of the program")
FINGERPRINT = N_("fingerprint of the address")
ADDRESS = N_("e-mail address")

TO_COUNT = N_("to count each signature once")
TO_CONFIRM = N_("so that only confirmed signatures count")
TO_SHOW = N_("to show who has signed, as far as each one wants that")
TO_MAIL = N_("to send e-mail that was asked for")
TO_DECIDE = N_("so that organizers can decide on signatures, and undo it")
TO_IMPORT = N_("to import lists, and to undo that")
TO_PUBLISH = N_("to publish the letter")
TO_DELIVER = N_("to hand the letter over, and to show the answer")
TO_AUDIT = N_("so that an auditor can check that people have signed")
TO_ENTER = N_("so that only organizers enter the desk")
TO_ACCOUNT = N_("so that what organizers do can be checked")
TO_PROTECT = N_("to keep robots and forgers out")
TO_RUN = N_("so that the programs work")

WITH_LETTER = Until(N_("the letter is taken down"))
WITH_SIGNATURE = Until(N_("the signature is withdrawn or deleted"))
WITH_ORGANIZER = Until(N_("the organizer’s account is removed"))
NO_END = Until(N_("no end"))
