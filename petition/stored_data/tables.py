"""All tables of the database. A new table or column gets its entry in the module of its subject."""

from collections.abc import Mapping

from petition.stored_data import imported_lists, letters, mail, organizers, signatories
from petition.stored_data.model import Table, by_name

TABLES: Mapping[str, Table] = by_name(
    (signatories.TABLES, imported_lists.TABLES, organizers.TABLES, letters.TABLES, mail.TABLES)
)
