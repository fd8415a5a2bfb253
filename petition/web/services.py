"""What a web process builds once, and every view uses."""

from collections.abc import Callable
from dataclasses import dataclass, field

from petition.captcha import Captchas
from petition.core.database import Database
from petition.core.encryption import Sealer, Wrapper
from petition.core.keeper import KeeperClient
from petition.core.quotas import DayKeys
from petition.core.reading import Reading
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.letters.published import PublishedLetters
from petition.letters.switches import InstallationNotices
from petition.mirrors.making import MirrorMaker
from petition.moderation.domain_proofs import DomainProofs
from petition.organizers.desk_key import DeskKey
from petition.organizers.passkeys import Passkeys
from petition.packages.making import PackageMaker
from petition.signatures.confirming import Confirming
from petition.signatures.signing import Signing
from petition.web.count_stream import CountStreams
from petition.web.form_line import FormLine
from petition.web.page_cache import PageCache
from petition.web.share_card_cache import CardCache
from petition.web.stored_copies import StoredCopies
from petition.web.throttle import Throttle


@dataclass(slots=True)
class Room:
    """When the database was last seen to have room on its disk (monotonic seconds)."""

    seen_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    reading: Reading
    renderer: Renderer
    tokens: Tokens
    sealer: Sealer
    wrapper: Wrapper
    notices: InstallationNotices
    letters: PublishedLetters
    pages: PageCache
    cards: CardCache
    count_streams: CountStreams
    captchas: Captchas
    day_keys: DayKeys
    keeper: KeeperClient
    desk_key: DeskKey
    passkeys: Passkeys
    packages: PackageMaker
    copies: MirrorMaker
    domain_proofs: DomainProofs
    signing: Signing
    confirming: Confirming
    sign_line: FormLine
    confirm_line: FormLine
    throttle: Throttle
    stored: StoredCopies | None = None
    room: Room = field(default_factory=Room)


LineOf = Callable[[Services], FormLine]  # the line in which the forms of a route wait
