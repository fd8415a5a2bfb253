"""How many employees of an organization have signed without their names: shown from five on, never fewer.

Counted anew for each reader, as the list is: a signature that was withdrawn a moment ago is not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from petition.core.database import Connection
from petition.letters.model import Letter
from petition.letters.parties import Employer
from petition.signatures import employee_queries


@dataclass(frozen=True, slots=True)
class Employees:
    """Those of one employer; ``number`` is None if they are fewer than ``employee_queries.MIN_NUMBER``."""

    employer: Employer
    number: int | None


async def count(conn: Connection, letter: Letter) -> Sequence[Employees]:
    """Return the employers that have employees in the count, in the order in which they were entered.

    Empty while the letter conceals names. Only of the signatures that readers see in the count at this moment.
    """
    if not letter.employers or letter.conceals_names:
        return []
    numbers = await employee_queries.count(conn, letter.id)
    return [Employees(employer, numbers[employer.id]) for employer in letter.employers if employer.id in numbers]
