"""Passkeys (WebAuthn, level 2): the browser asks a key of its own, the key signs our challenge for our address only."""

from urllib.parse import urlsplit

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import OrganizerId, SessionId
from petition.organizers import factor_queries as queries
from petition.organizers.model import Organizer

# The library takes a third of a second to import, and a web process may run for weeks without a passkey. So each
# function imports it for itself.

NOT_TAKEN = N_("The passkey did not work. Try again.")
KNOWN = N_("This passkey is already set up.")


class Passkeys:
    """Passkeys for one address."""

    def __init__(self, base_url: str) -> None:
        self._origin = base_url
        self._host = urlsplit(base_url).hostname or "localhost"

    async def ask_for_new(self, conn: Connection, organizer: Organizer, session_id: SessionId, title: str) -> str:
        """Return what the browser needs to make a passkey (JSON); the session's challenge waits for the answer."""
        from webauthn import generate_registration_options, options_to_json
        from webauthn.helpers.structs import PublicKeyCredentialDescriptor

        known = [PublicKeyCredentialDescriptor(id=row["id"]) for row in await queries.passkeys(conn, organizer.id)]
        options = generate_registration_options(
            rp_id=self._host,
            rp_name=title,
            user_id=organizer.id.to_bytes(8, "big"),
            user_name=organizer.called,
            exclude_credentials=known,
        )
        await queries.set_challenge(conn, session_id, options.challenge)
        return options_to_json(options)

    async def ask_for_proof(self, conn: Connection, organizer: Organizer, session_id: SessionId) -> str:
        """Return what the browser needs to show a passkey (JSON); the session's challenge waits for the answer."""
        from webauthn import generate_authentication_options, options_to_json
        from webauthn.helpers.structs import PublicKeyCredentialDescriptor

        known = [PublicKeyCredentialDescriptor(id=row["id"]) for row in await queries.passkeys(conn, organizer.id)]
        options = generate_authentication_options(rp_id=self._host, allow_credentials=known)
        await queries.set_challenge(conn, session_id, options.challenge)
        return options_to_json(options)

    async def add(
        self, conn: Connection, organizer_id: OrganizerId, challenge: bytes | None, answer: str, browser: str
    ) -> None:
        """Store the passkey that the browser created for ``challenge``. Raises ``Refused``."""
        from webauthn import verify_registration_response
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            verified = verify_registration_response(
                credential=answer,
                expected_challenge=challenge or b"",
                expected_rp_id=self._host,
                expected_origin=self._origin,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError):
            raise Refused(NOT_TAKEN) from None
        if challenge is None:
            raise Refused(NOT_TAKEN)
        await queries.lock(conn, organizer_id)
        key = verified.credential_public_key
        if not await queries.add_passkey(conn, organizer_id, verified.credential_id, key, verified.sign_count, browser):
            raise Refused(KNOWN)
        await audit_log.record(conn, organizer_id, None, "factor.add", after="passkey")

    async def prove(self, conn: Connection, organizer_id: OrganizerId, challenge: bytes | None, answer: str) -> None:
        """Let a passkey's answer to ``challenge`` pass. Raises ``Refused``."""
        from webauthn import verify_authentication_response
        from webauthn.helpers import parse_authentication_credential_json
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            credential = parse_authentication_credential_json(answer)
            known = {row["id"]: row for row in await queries.passkeys(conn, organizer_id)}
            row = known[credential.raw_id]
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge or b"",
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=row["public_key"],
                credential_current_sign_count=row["uses"],
            )
        except (WebAuthnException, ValueError, TypeError, KeyError):
            raise Refused(NOT_TAKEN) from None
        if challenge is None or not await queries.use_passkey(conn, organizer_id, row["id"], verified.new_sign_count):
            raise Refused(NOT_TAKEN)
