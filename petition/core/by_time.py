"""Signatures of a letter in the order of time, those that no reader sees among them.

Each row is in one of two indexes of this order: people on the public list (``signature_shown``), and everything else
(``signature_not_shown``). Read as one, both are merged as they are; only rows of the very same time are sorted, by id.
"""

LISTED = "s.state = 'confirmed' AND s.visibility = 'public' AND s.kind = 'person'"
UNLISTED = "(s.state <> 'confirmed' OR s.visibility <> 'public' OR s.kind <> 'person')"
NEWEST_FIRST = "ORDER BY s.listed_at DESC, s.id DESC"


def newest(columns: str, condition: str, limit: int) -> str:
    """Return the statement for the newest ``limit`` rows ``s`` with a condition, which binds the letter.

    The halves have the order and the limit as well: without these the planner sorts all of them.
    """
    halves = " UNION ALL ".join(
        f"(SELECT {columns} FROM signature s WHERE {condition} AND {half} {NEWEST_FIRST} LIMIT {limit})"  # noqa: S608
        for half in (LISTED, UNLISTED)
    )
    return f"SELECT * FROM ({halves}) AS s {NEWEST_FIRST} LIMIT {limit}"  # noqa: S608 - constants
