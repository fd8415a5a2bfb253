"""How much is accepted from one source: the settings ``LIMIT_…``."""

from dataclasses import dataclass, fields

from petition.core.environment import EnvironmentReader


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken from one source. Over ``network`` comes a harder challenge, over ten times that 429."""

    network: int = 30  # sign-ups and look-ups an hour from one IPv4 address or IPv6 /64
    onion: int = 300  # the same for all Onion traffic together
    letter: int = 100_000  # an hour for one letter
    mailbox: int = 5  # mails a day to one mailbox
    mailing: int = 30_000  # mails a minute of one update to its subscribers, all workers together
    drawn: int = 30  # answers to drawn codes an hour and network
    drawn_letter: int = 60  # sign-ups by drawn codes an hour and letter; above, signatures wait for a moderator
    domain: int = 20  # confirmations a day, letter and mail domain of one's own; above, signatures wait
    mail_host: int = 100  # the same for all such domains of one mail host
    code: int = 5  # attempts at the mailed code a day, per letter and address
    code_network: int = 60  # the same an hour from one network
    entry: int = 5  # sign-in links an hour for one mailbox from one network; above, a proof of work
    entry_network: int = 30  # the same for all mailboxes
    entry_mailbox: int = 10  # mails an hour to one mailbox that go out at once; above, one in five minutes
    proof: int = 10  # attempts at a second factor's code an hour, per session or remembered device
    invitations: int = 50  # a day, per organizer
    mail_in: int = 60  # mails without a valid DKIM signature that are answered, an hour
    reports: int = 10  # of entries of the public list, an hour from one network
    reading: int = 300  # pages of the list and searches, a minute from one network, in one process
    forms: int = 600  # forms of any kind, likewise
    api: int = 600  # requests of programs that the page cache does not answer, likewise


LIMITS = {f"LIMIT_{field.name.upper()}": field.name for field in fields(Limits)}


def read_limits(reader: EnvironmentReader) -> Limits:
    """Read every limit. Raises ``SettingsError``."""
    standard = Limits()
    return Limits(**{name: reader.number(setting, getattr(standard, name)) for setting, name in LIMITS.items()})
