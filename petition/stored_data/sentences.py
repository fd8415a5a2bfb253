"""The sentences of the page "What we know about you". Their periods are the table's; each has tests of its own.

``tests/stored_data/test_sentences.py`` names the tests behind each: a sentence without one fails the build.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from petition.core.i18n import N_
from petition.stored_data import words
from petition.stored_data.model import RetentionPeriod


class When(StrEnum):
    """Under which circumstances a sentence is said; without one it always is."""

    MAIL_IN = "mail_in"
    HCAPTCHA = "hcaptcha"  # a check by another company is offered
    NO_HCAPTCHA = "no_hcaptcha"
    NAMES_WAIT = "names_wait"  # the letter seals them until a number or a day
    NAMES_UNTIL = "names_until"  # the letter says so
    NAMES_DAYS = "names_days"
    NAMES_STAY = "names_stay"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One promise or disclosure; ``id`` never changes."""

    id: str
    text: str  # for the catalogues, with ``%(period)s`` or a letter's values in it
    period: RetentionPeriod | None = None
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Sentences under one heading; ``is_folded`` ones stand under "More"."""

    title: str
    sentences: tuple[Sentence, ...]
    is_folded: bool = False


PARTS = (
    Part(
        N_("Before you confirm"),
        (
            Sentence(
                "pending",
                N_("What you enter is stored encrypted until you confirm, at most %(period)s. Then it is deleted."),
                words.CONFIRMATION,
            ),
            Sentence("uncounted", N_("Until then it counts nowhere, and no one sees it.")),
        ),
    ),
    Part(
        N_("Your e-mail address"),
        (
            Sentence(
                "sealed",
                N_(
                    "It is sealed with a key that the web server does not have. Only the program that sends "
                    "e-mail can read it."
                ),
            ),
            Sentence(
                "address-deleted",
                N_("We delete it when you confirm. If you asked for news, we delete it when you stop the news."),
            ),
            Sentence(
                "representative",
                N_("If you signed for an organization, we delete it %(period)s after the organizers have decided."),
                words.REPRESENTATIVES,
            ),
            Sentence(
                "audit",
                N_(
                    "If you agreed that an auditor may ask you, we keep it sealed until you take that back, at the "
                    "latest until %(period)s after the letter closes."
                ),
                words.AFTER_CLOSING,
            ),
            Sentence(
                "audit-drawn",
                N_(
                    "If you are then drawn by lot, you get one e-mail, and the auditor gets your address, encrypted; "
                    "we delete that after %(period)s. Your answer is counted, and not stored with your signature."
                ),
                words.AUDIT_ADDRESSES,
            ),
            Sentence(
                "fingerprint",
                N_(
                    "So that each mailbox signs once, we store a fingerprint of it, made with a secret key of "
                    "this letter. %(period)s after the letter closes the key is destroyed. Then no one can "
                    "compare the fingerprint with an address."
                ),
                words.AFTER_CLOSING,
            ),
            Sentence(
                "never",
                N_("If you asked us never to write again, we store a fingerprint for that, made with another key."),
            ),
        ),
    ),
    Part(
        N_("Your name"),
        (
            Sentence(
                "everyone",
                N_(
                    "“Everyone”: your name, profession, city and country appear in the public list. Unless the "
                    "form says otherwise, we ask search engines and archives not to copy it."
                ),
            ),
            Sentence(
                "names-wait",
                N_(
                    "This letter shows all names together, later. Until then they are sealed: only the program "
                    "that sends e-mail has the key."
                ),
                when=When.NAMES_WAIT,
            ),
            Sentence(
                "organizers",
                N_(
                    "“Only the organizers”: they are stored encrypted, and only the organizers of the letter "
                    "can read them."
                ),
            ),
            Sentence(
                "nobody",
                N_("“Nobody”: your name, profession, city and country are never stored, not even until you confirm."),
            ),
            Sentence(
                "affiliation",
                N_(
                    "“My employer, without my name”: your name is never stored. We store which employer it is, and "
                    "show it with the number of its employees, from five on. Your employer can read your mailbox "
                    "there, and our e-mail in it."
                ),
            ),
            Sentence(
                "organization",
                N_(
                    "An organization’s name is public. The person who signed for it chooses who may see their own name."
                ),
            ),
            Sentence(
                "names-until",
                N_("On %(date)s the names of all people are deleted from this letter. The count stays."),
                when=When.NAMES_UNTIL,
            ),
            Sentence(
                "names-days",
                N_(
                    "%(days)s after this letter is first delivered, the names of all people are deleted. The "
                    "count stays."
                ),
                when=When.NAMES_DAYS,
            ),
            Sentence(
                "names-stay",
                N_("This letter sets no end for names: they stay until you withdraw your signature or delete it."),
                when=When.NAMES_STAY,
            ),
            Sentence(
                "removed",
                N_("If the organizers remove your signature, your name is erased %(period)s later."),
                words.REMOVED,
            ),
            Sentence(
                "with-it",
                N_(
                    "With the signature we store the time, the language and version of the text you read, and "
                    "the version of this notice."
                ),
            ),
        ),
    ),
    Part(
        N_("What you can do"),
        (
            Sentence(
                "own-page",
                N_(
                    "The link in your e-mail opens your own page. There you see all that is stored and can "
                    "download it, change who sees your name, or correct it."
                ),
            ),
            Sentence(
                "hide-from",
                N_("There you can also choose a date from which on your name is hidden."),
            ),
            Sentence(
                "withdraw",
                N_(
                    "Withdrawing erases everything personal at once. An empty record stays, with the times of "
                    "signing and the version of the text."
                ),
            ),
            Sentence(
                "delete",
                N_(
                    "Deleting removes the record too. If the organizers had removed your signature, a fingerprint "
                    "of the mailbox stays, so that it cannot sign again."
                ),
            ),
            Sentence(
                "import-row",
                N_(
                    "If your name came with an imported list, a fingerprint of its row stays, so that the same "
                    "list does not bring it back."
                ),
            ),
            Sentence(
                "log-entry",
                N_(
                    "So that anyone can check the count, each signature has an entry in a public log: a random "
                    "number, without name or address. Only your receipt shows that it is yours. It stays when you "
                    "withdraw or delete; a second entry then says that it no longer counts."
                ),
            ),
            Sentence(
                "consent",
                N_(
                    "Signing reveals a political opinion. The law gives such data special protection. That is "
                    "why we ask for your consent with a box of its own, never ticked in advance."
                ),
            ),
        ),
    ),
    Part(
        N_("Your network"),
        (
            Sentence(
                "network",
                N_(
                    "We do not log network addresses. To keep robots out we count requests under fingerprints "
                    "of addresses, made with a key of the day. Both are gone after at most %(period)s."
                ),
                words.NETWORKS,
            ),
            Sentence(
                "no-cookies",
                N_(
                    "Pages for readers and signatories set no cookies, load nothing from other sites, and track no one."
                ),
                when=When.NO_HCAPTCHA,
            ),
            Sentence(
                "hcaptcha",
                N_(
                    "Pages for readers and signatories set no cookies and track no one. They load nothing from "
                    "other sites, unless you choose hCaptcha in place of our picture: then that company learns "
                    "your network address, and may set cookies of its own."
                ),
                when=When.HCAPTCHA,
            ),
        ),
    ),
    Part(
        N_("What the organizers can find out"),
        (
            Sentence(
                "desk",
                N_(
                    "They see the names meant for them, and with each signature its time, country and language."
                    " They can’t look up whether an address has signed."
                ),
            ),
            Sentence(
                "address-list",
                N_(
                    "If you asked for news, an owner of the letter can take your address along to another "
                    "system: in an encrypted list, three days after every owner has had a mail about it."
                ),
            ),
            Sentence(
                "import",
                N_(
                    "An owner can import a list of at least 50 new names with addresses. Each person is counted"
                    " once, so the count and the names missing afterwards can show who had signed. It needs the"
                    " owner’s second factor, is recorded, and every owner gets a mail."
                ),
            ),
            Sentence(
                "domains",
                N_(
                    "Where many signatures come from one mail domain within a day, they see which of these "
                    "belong together. If they let a domain through by its name, such as that of a school, they "
                    "see which of them came from it."
                ),
            ),
            Sentence(
                "domain-fingerprint",
                N_(
                    "For that, where an address is not at a known provider, we store a fingerprint of its "
                    "domain and of the server that takes its mail, made with the key of the day. We delete it "
                    "after a day; while very many from one domain wait to be confirmed, after 8 days at the "
                    "latest."
                ),
            ),
            Sentence(
                "disposable",
                N_(
                    "To help them spot abuse, we note with the signature whether the address looks disposable, "
                    "but never the address itself."
                ),
            ),
        ),
        is_folded=True,
    ),
    Part(
        N_("What is handed over"),
        (
            Sentence(
                "package",
                N_(
                    "The first 1,000 names stand in the document that addressees get. If you take yours back, "
                    "it is made again without it; what has been handed over cannot be called back."
                ),
            ),
            Sentence("package-deleted", N_("We delete such a document after %(period)s."), words.PACKAGES),
        ),
        is_folded=True,
    ),
    Part(
        N_("Reading and signing by e-mail"),
        (
            Sentence(
                "mail-in",
                N_(
                    "If you write to us to read or sign a letter, your mail provider and ours can see that, and"
                    " what you write, your name included. Our answer contains the letter. Both may keep such "
                    "e-mails, also after you withdraw. If your provider must not know, use the form on this "
                    "site."
                ),
                when=When.MAIL_IN,
            ),
            Sentence(
                "mail-in-deleted",
                N_(
                    "We delete your e-mail as soon as it is read. From it we keep what the form would have "
                    "kept, and that you signed by e-mail. For two weeks we also keep a fingerprint of the "
                    "e-mail, so that no one can send it again."
                ),
                when=When.MAIL_IN,
            ),
        ),
        is_folded=True,
    ),
    Part(
        N_("If a letter is addressed to you"),
        (
            Sentence(
                "addressee",
                N_(
                    "Your name, your website, the deliveries and your answers are public: they stand on the "
                    "letter’s page. The organizers enter an e-mail address for mails about the letter; it is "
                    "encrypted like all addresses."
                ),
            ),
            Sentence(
                "objection",
                N_(
                    "Who sends an answer by your link is for the organizers only, and stored encrypted. Each "
                    "mail to you and the page behind its link have a button to object: then your address is "
                    "deleted, and only its fingerprint stays."
                ),
            ),
        ),
        is_folded=True,
    ),
)


def all_sentences() -> Iterator[Sentence]:
    for part in PARTS:
        yield from part.sentences
