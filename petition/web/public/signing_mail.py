"""The link that opens a mail to be filled in, for who cannot use the form."""

from petition.core.i18n import N_
from petition.incoming_mail import text_tags
from petition.letters.model import Letter
from petition.web.services import Services

SUBJECT = N_("I sign the letter")
STATEMENT = N_("I have read the letter and sign it. I agree to the use of my data as the page describes it.")


def mailto(services: Services, letter: Letter, lang: str) -> str | None:
    """Return the link for a reader of ``lang``; None where the letter is not signed by mail."""
    language = services.renderer.languages[lang]
    subject, statement = language.gettext(SUBJECT), language.gettext(STATEMENT)
    return text_tags.mailto(letter, services.settings.mail_in, lang, subject=subject, statement=statement)
