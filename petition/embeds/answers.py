"""What answers to other sites have in common."""

from petition.kept import Header

JSON = b"application/json"
# Any site may read it, also one that isolates itself from all that does not say so.
FOR_ANYONE: list[Header] = [(b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin")]
