"""Labels of an import's states on the desk's pages."""

from collections.abc import Mapping

from petition.core.i18n import N_
from petition.imports.model import ImportState

STATES: Mapping[str, str] = {
    ImportState.UPLOADING.value: N_("being uploaded"),
    ImportState.READING.value: N_("being read"),
    ImportState.MAPPING.value: N_("choose columns"),
    ImportState.CHECKING.value: N_("being checked"),
    ImportState.CHECKED.value: N_("ready to start"),
    ImportState.IMPORTING.value: N_("being imported"),
    ImportState.DONE.value: N_("finished"),
    ImportState.CANCELLED.value: N_("cancelled, nothing imported"),
    ImportState.FAILED.value: N_("failed"),
    ImportState.UNDOING.value: N_("being undone"),
    ImportState.UNDONE.value: N_("undone"),
    ImportState.REDOING.value: N_("being restored"),
}
