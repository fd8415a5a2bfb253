"""Tables about people who sign."""

from petition.core.i18n import N_
from petition.stored_data import words
from petition.stored_data.model import Expiry, Form, Reader, Subject, Table, Until, clear, content, personal

_ABOUT = Subject.SIGNATORIES
# Of letters that are closed long enough, or marked as sensitive, or burnt, no address is stored for audits.
_AUDITS_ENDED = f"""purpose = 'audit' AND letter IN (
  SELECT l.id FROM letter l WHERE l.sensitive OR l.wrapped_name_key IS NULL
  OR (l.state IN ('closed', 'archived') AND l.closed_at <= now() - {words.AFTER_CLOSING.sql}))"""  # noqa: S608
_BEFORE_YESTERDAY = "((now() AT TIME ZONE 'UTC')::date - 1)"
_NETWORK = ("network", "domain", "mail_host")


def _networks(table: str, time: str) -> Expiry:
    # The last condition limits the search through all rows to once a day.
    condition = f"""(network IS NOT NULL OR domain IS NOT NULL OR mail_host IS NOT NULL)
      AND {time} < {_BEFORE_YESTERDAY}::timestamp AT TIME ZONE 'UTC'
      AND EXISTS (SELECT FROM day_key WHERE day < {_BEFORE_YESTERDAY})"""
    return Expiry("letter, id", condition, table, _NETWORK)


PENDING = Table(
    "pending",
    N_("forms that are not confirmed yet"),
    words.TO_CONFIRM,
    Until(N_("confirmation, at most %(period)s"), words.CONFIRMATION),
    (Reader.PROGRAM,),
    _ABOUT,
    (
        clear("letter id kind version consent read_lang mail_lang created_at", words.NUMBERS),
        personal("digest", words.FINGERPRINT, Form.DIGEST, content("address", stages="pending")),
        personal(
            "fields",
            N_("what was entered"),
            Form.ENCRYPTED,
            content("name affiliation city", "person", "public organizers", "pending", without="sealed_names"),
            content("name position", "organization", "", "pending", without="sealed_names"),
            content("organization website", "organization", "", "pending"),
            # Sealed within what is encrypted.
            content(
                "name affiliation city",
                "person",
                "public organizers",
                "pending",
                marks="sealed_names",
                form=Form.SEALED,
            ),
            content("name position", "organization", "", "pending", marks="sealed_names", form=Form.SEALED),
        ),
        personal("sealed", words.ADDRESS, Form.SEALED, content("address", stages="pending")),
        personal("signals provider", N_("signs of abuse, and the kind of mail provider")),
        personal("network domain mail_host", N_("fingerprints of network and mail domain"), Form.DIGEST),
    ),
    (
        Expiry("letter, id", f"created_at <= now() - {words.CONFIRMATION.sql}"),
        # These can no longer be confirmed: what was typed in them is deleted at once.
        Expiry(
            "letter, id",
            "letter IN (SELECT l.id FROM letter l WHERE l.state <> 'draft' AND NOT l.takes_confirmations)",
        ),
    ),
)

SIGNATURE = Table(
    "signature",
    N_("signatures"),
    words.TO_SHOW,
    words.WITH_SIGNATURE,
    (Reader.EVERYONE, Reader.SIGNATORY, Reader.ORGANIZERS),
    _ABOUT,
    (
        clear(
            "letter id kind state visibility version consent import organization listed_at removed_from removed_for"
            " last_act group_number flags erased_at visible_until hide_as",
            words.NUMBERS,
        ),
        personal("signed_at read_lang mail_lang", N_("time and language of signing")),
        personal("country", N_("country")),
        personal("employer", N_("the employer of one who signed as its employee, without a name")),
        personal(
            "name name_key affiliation city",
            N_("name and details that everyone may see"),
            Form.CLEAR,
            content("name affiliation city", "person", "public", "confirmed removed", without="sealed_names"),
            content("name", "organization", "public", "confirmed removed", without="sealed_names"),
        ),
        personal(
            "position",
            N_("position of a representative"),
            Form.CLEAR,
            content("position", "organization", "public", "confirmed removed", without="sealed_names"),
            readers=(Reader.SIGNATORY, Reader.ORGANIZERS),
        ),
        personal(
            "private",
            N_("name and details that only organizers may see"),
            Form.ENCRYPTED,
            content("name affiliation city", "person", "organizers", "confirmed removed", without="sealed_names"),
            content("name affiliation city", "person", "public organizers", "held refused", without="sealed_names"),
            content("name position", "organization", "organizers", "confirmed removed", without="sealed_names"),
            content("name position", "organization", "", "held refused", without="sealed_names"),
            content("organization website", "organization", "", "held refused"),
        ),
        personal(
            "sealed",
            N_("name and details that wait to be shown with all others"),
            Form.SEALED,
            content(
                "name affiliation city",
                "person",
                "public organizers",
                "held refused confirmed removed",
                marks="sealed_names",
            ),
            content("name position", "organization", "", "held refused confirmed removed", marks="sealed_names"),
        ),
        personal(
            "digest import_key",
            N_("fingerprints of the address, and of the row of an imported list"),
            Form.DIGEST,
            content("address", stages="held refused confirmed removed"),
        ),
        personal("signals", N_("signs of abuse, never the address")),
        personal("network domain mail_host", N_("fingerprints of network and mail domain"), Form.DIGEST),
    ),
)

CONTACT = Table(
    "contact",
    N_("addresses for news and audits, and of organizations’ representatives"),
    words.TO_MAIL,
    Until(
        N_(
            "the news is stopped; for audits: that is taken back, or %(period)s after the letter closes; a "
            "representative’s: %(period)s after the decision"
        ),
        words.REPRESENTATIVES,
    ),
    (Reader.WORKER, Reader.OWNERS, Reader.AUDITOR),
    _ABOUT,
    (
        clear("letter signature purpose until since added_in", words.NUMBERS),
        personal(
            "sealed",
            words.ADDRESS,
            Form.SEALED,
            content("address", "person", "", "held refused confirmed removed", marks="updates"),
            content("address", "organization", "", "held refused confirmed removed"),
        ),
    ),
    (
        Expiry("letter, signature, purpose", "until <= now()"),
        Expiry("letter, signature, purpose", _AUDITS_ENDED),
    ),
)

ORGANIZATION = Table(
    "organization",
    N_("organizations of the list"),
    words.TO_SHOW,
    words.WITH_SIGNATURE,
    (Reader.EVERYONE,),
    _ABOUT,
    (
        clear("letter id merged_into listed_at", words.NUMBERS),
        personal(
            "name_en name_ru website key_en key_ru name_key",
            N_("name and website of an organization"),
            Form.CLEAR,
            content("organization website", "organization", "", "confirmed removed"),
        ),
    ),
)

TABLES = (
    PENDING,
    CONTACT,
    SIGNATURE,
    ORGANIZATION,
    Table(
        "audit_question",
        N_("questions of an auditor that were mailed"),
        words.TO_AUDIT,
        Until(N_("the audit ends; then only numbers are left")),
        (Reader.PROGRAM,),
        _ABOUT,
        (clear("letter id audit", words.NUMBERS), personal("answer", N_("the answer, without whose it is"))),
    ),
    Table(
        "audit_address_list",
        N_("addresses of those who were drawn for an audit"),
        words.TO_AUDIT,
        Until(N_("%(period)s have passed"), words.AUDIT_ADDRESSES),
        (Reader.AUDITOR,),
        _ABOUT,
        (
            clear("letter audit made_at", words.NUMBERS),
            personal("bytes", N_("addresses, encrypted to the auditor’s own key"), Form.FOR_OTHERS),
        ),
        (Expiry("letter, audit", f"made_at <= now() - {words.AUDIT_ADDRESSES.sql}"),),
    ),
    Table(
        "used_challenge",
        N_("challenges against robots that were solved"),
        words.TO_PROTECT,
        Until(N_("%(period)s after they end"), words.CHALLENGES),
        (Reader.PROGRAM,),
        _ABOUT,
        (clear("nonce expires_at", words.NUMBERS), personal("form", N_("fingerprint of a form"), Form.DIGEST)),
        # An hour later than the web refuses them as expired: its clock may be behind the database's, and a challenge
        # that is forgotten too early could be used once more.
        (Expiry("nonce", f"expires_at <= now() - {words.CHALLENGES.sql}"),),
    ),
    Table(
        "limit_use",
        N_("how often a network or mailbox asked for something"),
        words.TO_PROTECT,
        Until(N_("an hour or a day, as the limit says")),
        (Reader.PROGRAM,),
        _ABOUT,
        (
            personal("key", N_("fingerprint under the key of the day"), Form.DIGEST),
            clear("used expires_at", words.NUMBERS),
        ),
        (Expiry("key", "expires_at <= now()"),),
    ),
    # The digests of networks and mail domains go before the key of their day: without the key they say nothing about
    # them, yet they would still show who signed from the same one.
    Table(
        "day_key",
        N_("the keys of the day, for fingerprints of networks"),
        words.TO_PROTECT,
        Until(N_("%(period)s have passed"), words.NETWORKS),
        (Reader.PROGRAM,),
        Subject.INSTALLATION,
        (clear("day", words.NUMBERS), clear("wrapped", N_("a key"))),
        (
            _networks("pending", "created_at"),
            _networks("signature", "signed_at"),
            Expiry("day", f"day < {_BEFORE_YESTERDAY}"),
        ),
    ),
    Table(
        "other_link",
        N_("later links of one mailbox"),
        words.TO_CONFIRM,
        words.WITH_SIGNATURE,
        (Reader.PROGRAM,),
        _ABOUT,
        (clear("letter id signature", words.NUMBERS),),
    ),
    Table(
        "name_word",
        N_("words of public names"),
        N_("to find names in spite of typing errors"),
        Until(N_("the last public name with the word goes")),
        (Reader.PROGRAM,),
        _ABOUT,
        (
            clear("letter kind", words.NUMBERS),
            personal(
                "word near",
                N_("a word, and checksums of its parts"),
                Form.CLEAR,
                content("name", "person", "public", "confirmed", without="sealed_names"),
                content("organization", "organization", "", "confirmed"),
            ),
        ),
    ),
    Table(
        "bar",
        N_("mailboxes whose signature was removed"),
        words.TO_PROTECT,
        Until(N_("the letter is taken down; its key is destroyed %(period)s after it closed"), words.AFTER_CLOSING),
        (Reader.PROGRAM,),
        _ABOUT,
        (
            clear("letter kept", words.NUMBERS),
            personal("digest", words.FINGERPRINT, Form.DIGEST, content("address", stages="refused removed")),
        ),
    ),
    Table(
        "bounced_mailbox",
        N_("mailboxes that e-mail did not reach"),
        words.TO_MAIL,
        Until(N_("the letter is taken down; its key is destroyed %(period)s after it closed"), words.AFTER_CLOSING),
        (Reader.PROGRAM,),
        _ABOUT,
        (
            clear("letter reason bounced_at paused_until", words.NUMBERS),
            personal("digest", words.FINGERPRINT, Form.DIGEST),
        ),
    ),
    Table(
        "suppressed",
        N_("mailboxes that want no e-mail from us"),
        N_("so that we never write to them again"),
        Until(N_("it is taken back by the link in the e-mail; else no end")),
        (Reader.PROGRAM,),
        _ABOUT,
        (personal("digest", words.FINGERPRINT, Form.DIGEST), clear("since swept_at", words.NUMBERS)),
    ),
    Table(
        "trusted_domain",
        N_("mail domains that an organizer let through"),
        words.TO_DECIDE,
        words.WITH_LETTER,
        (Reader.PROGRAM,),
        _ABOUT,
        (clear("letter at", words.NUMBERS), personal("digest", N_("fingerprint of a mail domain"), Form.DIGEST)),
    ),
    Table(
        "note",
        N_("notes of organizers on a signature"),
        words.TO_DECIDE,
        words.WITH_SIGNATURE,
        (Reader.ORGANIZERS,),
        _ABOUT,
        (clear("letter signature id organizer at", words.NUMBERS), personal("text", N_("a text"), Form.ENCRYPTED)),
    ),
    Table(
        "message",
        N_("messages between organizers and an organization’s representative"),
        words.TO_DECIDE,
        words.WITH_SIGNATURE,
        (Reader.ORGANIZERS, Reader.SIGNATORY),
        _ABOUT,
        (
            clear("letter signature id organizer answers at", words.NUMBERS),
            personal("text", N_("a text"), Form.ENCRYPTED, content("message", marks="answered")),
        ),
    ),
    Table(
        "report",
        N_("readers’ reports of an entry"),
        words.TO_DECIDE,
        words.WITH_SIGNATURE,
        (Reader.ORGANIZERS,),
        _ABOUT,
        (
            clear("letter signature id reason at settled_by", words.NUMBERS),
            personal("note", N_("a text"), Form.ENCRYPTED),
        ),
    ),
    Table(
        "typed",
        N_("the names with which a representative signed"),
        words.TO_DECIDE,
        words.WITH_SIGNATURE,
        (Reader.ORGANIZERS,),
        _ABOUT,
        (
            clear("letter signature", words.NUMBERS),
            personal(
                "fields",
                N_("former names"),
                Form.ENCRYPTED,
                content("organization website", "organization", "", "confirmed removed"),
            ),
        ),
    ),
    Table(
        "past",
        N_("names before a correction"),
        words.TO_DECIDE,
        words.WITH_SIGNATURE,
        (Reader.ORGANIZERS,),
        _ABOUT,
        (
            clear("letter log signature organization", words.NUMBERS),
            personal("fields", N_("former names"), Form.ENCRYPTED),
        ),
    ),
    Table(
        "name_look",
        N_("how far repeated names were looked for"),
        words.TO_PROTECT,
        words.WITH_LETTER,
        (Reader.PROGRAM,),
        Subject.LETTERS,
        (clear("letter listed_at signature import imported", words.NUMBERS),),
    ),
)
