"""Tables about letters, their texts, deliveries and numbers."""

from petition.core.i18n import N_
from petition.stored_data import words
from petition.stored_data.model import Expiry, Form, Reader, Subject, Table, Until, clear, personal, secret

_ABOUT = Subject.LETTERS


def _public(name: str, what: str, columns: str, why: str = words.TO_PUBLISH) -> Table:
    groups = (clear(columns, N_("what readers see, and numbers of the program")),)
    return Table(name, what, why, words.WITH_LETTER, (Reader.EVERYONE,), _ABOUT, groups)


def _own(name: str, what: str, columns: str, why: str = words.TO_PUBLISH) -> Table:
    groups = (clear(columns, words.NUMBERS),)
    return Table(name, what, why, words.WITH_LETTER, (Reader.ORGANIZERS,), _ABOUT, groups)


TABLES = (
    Table(
        "letter",
        N_("letters"),
        words.TO_PUBLISH,
        Until(N_("it is taken down; then only its short name is left")),
        (Reader.EVERYONE,),
        _ABOUT,
        (
            clear(
                "id slug state goal next_goals opened_at closes_at closed_at names_in_search rules_version version"
                " revision purges created_at sensitive publish_at publish_by opening reminder goal_reached"
                " kept publish_at_number publish_at_date names_due_at names_published_at"
                " names_until names_days names_ended_at names_erased_at moved",
                N_("what readers see, and numbers of the program"),
            ),
            secret(
                "wrapped_digest_key wrapped_name_key",
                N_("the letter’s two keys; that of the fingerprints is destroyed after closing"),
            ),
        ),
    ),
    _public("party", N_("who issued a letter"), "letter role position names url"),
    _public("translation", N_("texts that are being written"), "letter lang title markdown"),
    _public(
        "version",
        N_("published texts"),
        "letter number digest published_at texts note signed_before imported_before",
    ),
    _public("sharing", N_("what readers pass on with the address"), "letter lang text alt picture"),
    _public("picture", N_("pictures for sharing"), "letter id type content"),
    _own("edit", N_("who wrote which field of a draft last"), "letter field value at organizer"),
    Table(
        "preview_link",
        N_("links to see a draft"),
        words.TO_PUBLISH,
        Until(N_("it expires")),
        (Reader.ORGANIZERS,),
        _ABOUT,
        (clear("id letter until_published made_at expires_at", words.NUMBERS),),
        (Expiry("id", "expires_at <= now()"),),
    ),
    _public(
        "news",
        N_("news on a letter"),
        "letter id state texts shown revision written_at published_at edited_at publish_at publish_by",
    ),
    _public("switch", N_("kill switches"), "letter name value texts former_value former_texts revision since moved"),
    _public(
        "count",
        N_("the count"),
        "letter people organizations hidden imported changed_at listed_people listed_organizations moved",
        words.TO_COUNT,
    ),
    _public(
        "count_step",
        N_("the count of a small sensitive letter, as readers see it"),
        "letter stepped_at is_small people organizations hidden imported listed_people listed_organizations"
        " signature_ids hours partners countries evidence moved",
        words.TO_COUNT,
    ),
    _public("count_hour", N_("how the count moved"), "letter hour people organizations listed", words.TO_COUNT),
    _public("partner", N_("sites that lead readers to a letter"), "letter id name title in_api created_at retired_at"),
    _public(
        "employer",
        N_("employers whose employees may sign without names"),
        "letter id names domains added_at stopped_at",
    ),
    _public("count_partner", N_("how many came from them"), "letter partner people representatives", words.TO_COUNT),
    Table(
        "count_log",
        N_("the public log of a letter’s count"),
        words.TO_COUNT,
        words.WITH_LETTER,
        (Reader.EVERYONE,),
        _ABOUT,
        (
            clear(
                "letter size edge people organizations imported checkpoint signed_at begun_at compared_at",
                N_("what readers see, and numbers of the program"),
            ),
            secret("wrapped_receipt_key", N_("a key")),
        ),
    ),
    _public(
        "audit",
        N_("audits by sample: what was announced, drawn and answered, as numbers"),
        "letter number state reason auditor organizer sample source round description draw_at created_at announced_at"
        " origin log_size root frame frame_digest recipient value drawn asked_at ends_at ended_at unreached signed"
        " denied",
        words.TO_AUDIT,
    ),
    _public("count_log_bundle", N_("entries of that log: hashes"), "letter number entries prefixes", words.TO_COUNT),
    _public("count_log_tile", N_("hashes over its entries"), "letter level number hashes", words.TO_COUNT),
    _own(
        "count_log_queue",
        N_("what goes into that log within twenty minutes"),
        "letter id kind subject token number exit at",
        words.TO_COUNT,
    ),
    _public(
        "count_log_stamp",
        N_("time stamps of that log"),
        "letter authority at size checkpoint response",
        words.TO_COUNT,
    ),
    _public(
        "witness",
        N_("partners that sign that log too"),
        "id letter title verifier_key created_at retired_at size checkpoint cosignature cosigned_at",
        words.TO_COUNT,
    ),
    _own(
        "mirror",
        N_("when static copies were written"),
        "letter written_at counted_at files bytes failed_at problem",
    ),
    _public(
        "tally",
        N_("signatures on paper, as a number"),
        "letter id people counted_on source organizer replaces at ended_at",
        words.TO_COUNT,
    ),
    _own(
        "campaign",
        N_("decisions on many signatures at once"),
        "id letter organizer act reason conditions state matched changed listed_at signature created_at ended_at",
        words.TO_DECIDE,
    ),
    _own("statistics_change", N_("figures of the last minute"), "letter hour what value number", words.TO_COUNT),
    _own("statistics_hour", N_("figures by hour"), "letter hour signed_up confirmed came went", words.TO_COUNT),
    _own("statistics_total", N_("figures of a letter"), "letter what value number", words.TO_COUNT),
    Table(
        "package",
        N_("documents to be handed over"),
        words.TO_DELIVER,
        Until(N_("the document: %(period)s; its fingerprint with the letter"), words.PACKAGES),
        (Reader.ORGANIZERS,),
        Subject.SIGNATORIES,
        (
            clear(
                "letter id made_at organizer version people organizations sha256 names_digest"
                " person_ids organization_ids",
                words.NUMBERS,
            ),
            personal("content", N_("the document with public names"), Form.ENCRYPTED),
        ),
        # Of a package only its digest and its numbers stay: the document has names.
        (
            Expiry(
                "letter, id",
                f"content IS NOT NULL AND made_at <= now() - {words.PACKAGES.sql}",
                erased=("content", "person_ids", "organization_ids"),
            ),
        ),
    ),
    Table(
        "addressee",
        N_("addressees"),
        words.TO_DELIVER,
        words.WITH_LETTER,
        (Reader.EVERYONE, Reader.WORKER),
        Subject.ADDRESSEES,
        (
            clear("letter id position way lang objected_at link link_until revision", words.NUMBERS),
            personal("names url", N_("name and website")),
            personal("sealed", words.ADDRESS, Form.SEALED),
            personal("digest never", words.FINGERPRINT, Form.DIGEST),
        ),
    ),
    Table(
        "addressee_event",
        N_("deliveries and answers"),
        words.TO_DELIVER,
        words.WITH_LETTER,
        (Reader.EVERYONE,),
        Subject.ADDRESSEES,
        (
            clear(
                "letter id addressee state way at url file job sent failed organizer recorded_at undone_at",
                words.NUMBERS,
            ),
            personal("summary", N_("the answer in short")),
            personal("private", N_("notes of organizers"), Form.ENCRYPTED),
        ),
    ),
    Table(
        "addressee_answer",
        N_("answers sent by an addressee’s link"),
        words.TO_DELIVER,
        words.WITH_LETTER,
        (Reader.ORGANIZERS,),
        Subject.ADDRESSEES,
        (
            clear("letter id addressee lang file at state event", words.NUMBERS),
            personal("digest", N_("fingerprint of a form"), Form.DIGEST),
            personal("private", N_("who answered, and the text"), Form.ENCRYPTED),
        ),
    ),
    Table(
        "addressee_file",
        N_("files of deliveries and answers"),
        words.TO_DELIVER,
        words.WITH_LETTER,
        (Reader.EVERYONE, Reader.ORGANIZERS),
        Subject.ADDRESSEES,
        (
            clear("letter id type at hidden", words.NUMBERS),
            personal("content", N_("a file; encrypted where only organizers may see it")),
        ),
    ),
)
