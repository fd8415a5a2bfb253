"""A workbook that we write has the styles that readers insist on."""

import io
import xml.etree.ElementTree as ET
import zipfile
from datetime import UTC, datetime

from petition.formats.xlsx_writer import Workbook

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def test_styles_have_the_fills_and_the_style_that_programs_expect() -> None:
    workbook = Workbook(["name", "signed"])
    workbook.write(["Vera", datetime(2026, 3, 1, tzinfo=UTC)])
    workbook.close()
    with zipfile.ZipFile(io.BytesIO(workbook.take())) as archive:
        styles = ET.fromstring(archive.read("xl/styles.xml"))
    fills = [fill.attrib["patternType"] for fill in styles.iter(f"{MAIN}patternFill")]
    assert fills == ["none", "gray125"]
    assert [style.attrib["name"] for style in styles.iter(f"{MAIN}cellStyle")] == ["Normal"]
