"""Tables about organizers, their ways in, and what they did."""

from petition.core.i18n import N_
from petition.stored_data import words
from petition.stored_data.model import (
    Expiry,
    Form,
    Reader,
    StoredColumns,
    Subject,
    Table,
    Until,
    clear,
    personal,
    secret,
)

_ABOUT = Subject.ORGANIZERS


def _door(name: str, what: str, until: Until, columns: tuple[StoredColumns, ...], *expiry: Expiry) -> Table:
    return Table(name, what, words.TO_ENTER, until, (Reader.PROGRAM,), _ABOUT, columns, expiry)


_OWN_END = Until(N_("it expires"))

TABLES = (
    Table(
        "auditor",
        N_("the auditor by whom signatories may agree to be asked"),
        words.TO_AUDIT,
        Until(N_("an owner takes it back")),
        (Reader.EVERYONE,),
        _ABOUT,
        (clear("letter since", words.NUMBERS), personal("name", N_("the auditor’s public name"))),
    ),
    Table(
        "access_journal",
        N_("how often names were read and the desk entered"),
        words.TO_ACCOUNT,
        Until(N_("%(period)s have passed"), words.ACCESS),
        (Reader.OWNERS,),
        _ABOUT,
        (clear("hour kind letter uses", words.NUMBERS), personal("organizer", N_("the organizer’s number"))),
        (Expiry("hour, kind, organizer, letter", f"hour <= now() - {words.ACCESS.sql}"),),
    ),
    Table(
        "decryption",
        N_("how many addresses and names the program decrypted"),
        words.TO_ACCOUNT,
        Until(N_("%(period)s have passed"), words.ACCESS),
        (Reader.OWNERS,),
        Subject.LETTERS,
        (clear("letter day purpose content uses", words.NUMBERS),),
        (
            Expiry(
                "letter, day, purpose, content",
                f"day <= (now() AT TIME ZONE 'UTC')::date - {words.ACCESS.number}",
            ),
        ),
    ),
    Table(
        "name_reading",
        N_("which hidden names an organizer has read"),
        words.TO_ACCOUNT,
        Until(N_("%(period)s have passed"), words.NAME_READINGS),
        (Reader.PROGRAM,),
        _ABOUT,
        (personal("organizer signature at", N_("numbers of organizer and signature, and the time")),),
        (Expiry("organizer, signature", f"at <= now() - {words.NAME_READINGS.sql}"),),
    ),
    Table(
        "log",
        N_("what organizers did, without names"),
        words.TO_ACCOUNT,
        words.NO_END,
        (Reader.ORGANIZERS,),
        _ABOUT,
        (
            clear("id at letter act ids before after reason campaign undoes command", words.NUMBERS),
            personal("organizer", N_("the organizer’s number")),
        ),
    ),
    Table(
        "organizer",
        N_("organizers"),
        words.TO_ENTER,
        words.WITH_ORGANIZER,
        (Reader.ORGANIZERS, Reader.WORKER),
        _ABOUT,
        (
            clear("id admin created_at", words.NUMBERS),
            personal("name lang zone", N_("name, language and time zone")),
            personal("digest", words.FINGERPRINT, Form.DIGEST),
            personal("sealed", words.ADDRESS, Form.SEALED),
            personal("seen_at", N_("when the organizer was here last")),
            clear(
                "waiting_mail waiting_mail_on waiting_mailed_at waiting_mailed waiting_goals",
                N_("which reminders were sent"),
            ),
        ),
    ),
    Table(
        "member",
        N_("who may do what with a letter"),
        words.TO_ENTER,
        Until(N_("the organizer leaves the letter")),
        (Reader.ORGANIZERS,),
        _ABOUT,
        (clear("letter role since", words.NUMBERS), personal("organizer", N_("the organizer’s number"))),
    ),
    Table(
        "invitation",
        N_("invitations to the desk"),
        words.TO_ENTER,
        _OWN_END,
        (Reader.OWNERS, Reader.WORKER),
        _ABOUT,
        (
            clear("id letter role lang invited_by created_at expires_at", words.NUMBERS),
            personal("name", N_("the name that the inviting organizer entered")),
            personal("digest", words.FINGERPRINT, Form.DIGEST),
            personal("sealed", words.ADDRESS, Form.SEALED),
        ),
        (Expiry("id", "expires_at <= now()"),),
    ),
    _door(
        "entry",
        N_("one-time links to the desk"),
        _OWN_END,
        (
            clear("organizer invitation expires_at tries", words.NUMBERS),
            personal("digest nonce", N_("fingerprint of a link"), Form.DIGEST),
        ),
        Expiry("digest", "expires_at <= now()"),
    ),
    _door(
        "sign_in_ask",
        N_("browsers that ask for a link to the desk"),
        _OWN_END,
        (
            clear("slot expires_at", words.NUMBERS),
            personal("digest mailbox code link", N_("fingerprints of cookie, address, code and link"), Form.DIGEST),
        ),
        Expiry("digest", "expires_at <= now()"),
    ),
    _door(
        "remembered_device",
        N_("browsers from which an organizer signed in"),
        _OWN_END,
        (
            clear("organizer session expires_at", words.NUMBERS),
            personal("digest", N_("fingerprint of a cookie"), Form.DIGEST),
        ),
        Expiry("digest", "expires_at <= now()"),
    ),
    _door(
        "session",
        N_("organizers’ sessions"),
        Until(N_("12 hours without use, at most %(period)s"), words.SESSION),
        (
            clear("id organizer proved_at created_at challenged_at renew challenge", words.NUMBERS),
            personal("browser seen_at", N_("browser and system in two words, and the last use")),
            personal("digest", N_("fingerprint of a cookie"), Form.DIGEST),
            secret("wrapped_totp", N_("a second factor that is being set up")),
        ),
        # The same times as in ``organizers.queries.LIVE``.
        Expiry(
            "id",
            f"seen_at <= now() - interval '12 hours' OR created_at <= now() - {words.SESSION.sql}"
            " OR (proved_at IS NULL AND created_at <= now() - interval '1 hour')",
        ),
    ),
    _door(
        "totp",
        N_("second factors by app"),
        words.WITH_ORGANIZER,
        (clear("organizer last_step since", words.NUMBERS), secret("wrapped_secret", N_("the app’s secret"))),
    ),
    _door(
        "passkey",
        N_("passkeys"),
        words.WITH_ORGANIZER,
        (
            clear("id organizer public_key uses since used_at", words.NUMBERS),
            personal("browser", N_("browser and system in two words")),
        ),
    ),
    _door(
        "recovery_code",
        N_("recovery codes"),
        words.WITH_ORGANIZER,
        (clear("organizer salt", words.NUMBERS), personal("digest", N_("fingerprint of a code"), Form.DIGEST)),
    ),
    _door(
        "factor_reset",
        N_("resets of a lost second factor"),
        Until(N_("it is carried out or stopped")),
        (clear("organizer letter asked_by asked_at due_at", words.NUMBERS),),
    ),
    _door(
        "desk_key",
        N_("the key of the desk’s fingerprints"),
        words.NO_END,
        (clear("one", words.NUMBERS), secret("wrapped", N_("a key"))),
    ),
    Table(
        "voucher",
        N_("organizers who vouch for an organization by name"),
        N_("to show how an organization is proven"),
        Until(N_("they take it back, or the signature goes")),
        (Reader.EVERYONE,),
        _ABOUT,
        (
            clear("letter signature at", words.NUMBERS),
            personal("organizer", N_("the organizer’s number")),
            personal("name", N_("the name under which they vouch")),
        ),
    ),
    Table(
        "address_key",
        N_("keys to which an owner has address lists encrypted"),
        words.TO_MAIL,
        words.WITH_LETTER,
        (Reader.OWNERS,),
        _ABOUT,
        (clear("letter id organizer recipient created_at usable_at revoked_at", words.NUMBERS),),
    ),
    Table(
        "address_job",
        N_("address lists that an owner asked for"),
        words.TO_MAIL,
        words.WITH_LETTER,
        (Reader.OWNERS,),
        _ABOUT,
        (clear("letter id key organizer state addresses created_at ended_at", words.NUMBERS),),
    ),
    Table(
        "address_part",
        N_("address lists of those who asked for news"),
        words.TO_MAIL,
        Until(N_("%(period)s have passed"), words.UNDONE),
        (Reader.OWNERS,),
        Subject.SIGNATORIES,
        (
            clear("letter job part", words.NUMBERS),
            personal("bytes", N_("addresses, encrypted to an owner’s own key"), Form.FOR_OTHERS),
        ),
    ),
)
