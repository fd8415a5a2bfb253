"""Tables about mail, relays and the installation itself."""

from petition.core.i18n import N_
from petition.stored_data import words
from petition.stored_data.model import Expiry, Form, Reader, Subject, Table, Until, clear, content, personal, secret

_ABOUT = Subject.INSTALLATION


def _own(name: str, what: str, columns: str, *expiry: Expiry, until: Until = words.NO_END) -> Table:
    groups = (clear(columns, words.NUMBERS),)
    return Table(name, what, words.TO_RUN, until, (Reader.ADMINS,), _ABOUT, groups, expiry)


TABLES = (
    Table(
        "outbox",
        N_("e-mail that waits to be sent"),
        words.TO_MAIL,
        Until(N_("it is sent, at most %(period)s"), words.CONFIRMATION),
        (Reader.WORKER,),
        Subject.SIGNATORIES,
        (
            clear(
                "id letter purpose kind pending lang attempts due_at lease created_at priority relay details",
                words.NUMBERS,
            ),
            personal(
                "digest",
                words.FINGERPRINT,
                Form.DIGEST,
                content("address", marks="lost_link"),
                content("address", stages="confirmed refused removed", marks="decided"),
            ),
            personal(
                "sealed",
                words.ADDRESS,
                Form.SEALED,
                content("address", marks="lost_link"),
                content("address", stages="confirmed refused removed", marks="decided"),
            ),
        ),
    ),
    Table(
        "mailing",
        N_("news sent by e-mail, as numbers"),
        words.TO_MAIL,
        words.WITH_LETTER,
        (Reader.ORGANIZERS,),
        Subject.LETTERS,
        (
            clear(
                "letter id news organizer state reason created_at starts_at started_at ended_at texts taken reached"
                " walked next_at recipients unreached in_flight accepted refused bounced suppressed cancelled repeated"
                " judged judged_refused",
                words.NUMBERS,
            ),
        ),
    ),
    Table(
        "mailing_stamp",
        N_("which signatures a mailing has reached"),
        words.TO_MAIL,
        Until(N_("%(period)s after the mailing"), words.AFTER_CLOSING),
        (Reader.PROGRAM,),
        Subject.SIGNATORIES,
        (clear("letter mailing signature state code attempts begun due_at lease first_at", words.NUMBERS),),
    ),
    Table(
        "refused_mail",
        N_("what mail servers refused, as codes"),
        words.TO_MAIL,
        words.WITH_LETTER,
        (Reader.ORGANIZERS,),
        Subject.LETTERS,
        (clear("letter refused_at code job", words.NUMBERS),),
    ),
    _own("reminded", N_("until when reminders were sent"), "one until"),
    _own("mail_worker", N_("the programs that send mail now"), "id seen_at", until=Until(N_("the program ends"))),
    _own("incoming_mail_count", N_("how much mail came in, by day"), "day kind number"),
    _own(
        "relay",
        N_("how each mail relay does"),
        "name position since seen_at failures rests_until trying_until refused_in_a_row trouble trouble_step"
        " trouble_code trouble_status trouble_at accepted_at connected_at tls tls_verified tls_until",
    ),
    _own(
        "relay_hour",
        N_("what each relay did, by hour"),
        "relay hour outcome reason mails",
        Expiry("relay, hour, outcome, reason", f"hour <= now() - {words.RELAY_HOURS.sql}"),
        until=Until(N_("%(period)s have passed"), words.RELAY_HOURS),
    ),
    _own(
        "relay_test",
        N_("test mails"),
        "id relay organizer asked_at taken_until finished_at trouble step code status",
        Expiry("id", f"asked_at <= now() - {words.RELAY_TESTS.sql}"),
        until=Until(N_("%(period)s have passed"), words.RELAY_TESTS),
    ),
    _own("keeper", N_("which keeper made the fingerprints"), "one fingerprint adopted_at"),
    _own("deletion", N_("how much was deleted, by day"), "day task number"),
    _own("migration", N_("changes of the database’s form"), "number name checksum applied_at"),
    Table(
        "signing_key",
        N_("the key with which the installation signs"),
        N_("so that others can check mirrors and counts"),
        words.NO_END,
        (Reader.PROGRAM,),
        _ABOUT,
        (clear("one", words.NUMBERS), secret("wrapped", N_("a key"))),
    ),
    Table(
        "installation",
        N_("the key of “never write to me again”"),
        words.TO_MAIL,
        words.NO_END,
        (Reader.PROGRAM,),
        _ABOUT,
        (
            clear("one", words.NUMBERS),
            secret("wrapped_suppression_key", N_("a key")),
            clear("backed_up_at", words.NUMBERS),
        ),
    ),
)
