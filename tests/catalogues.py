"""Collects the texts of pages and keeps the catalogues of translations; no GNU gettext is needed.

    make texts

adds the texts that are new to each locale/*/LC_MESSAGES/django.po, without a translation, drops those that nothing
shows any more, and compiles django.mo. test_catalogues.py is red until each text has a translation.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

from tests.clients import ROOT

KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
PAGES = (ROOT / "templates", *(ROOT / "features").glob("*/templates"))
CATALOGUES = sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po"))


def texts() -> Catalog:
    """Return every text that templates and the modules of hub/ and registry/ hand to gettext."""
    found = Catalog()
    for source in _sources():
        for _, message, _, context in extract("python", source, KEYWORDS):
            found.add(message, context=context)
    return found


def _sources() -> Iterator[io.BytesIO]:
    """Yield what a Python extractor reads: modules, and templates with all but their texts blanked out."""
    for file in sorted(path for box in ("features", "hub", "registry") for path in (ROOT / box).rglob("*.py")):
        if b"gettext" in (module := file.read_bytes()):
            yield io.BytesIO(module)
    for file in sorted(path for place in PAGES for path in place.rglob("*") if path.suffix in {".html", ".txt"}):
        blanked = templatize(file.read_text(), origin=str(file))
        # Blanks are capitals; at the beginning of a line they would be the indentation of a statement.
        yield io.BytesIO(re.sub(r"^[A-Z\s]+", "", blanked, flags=re.MULTILINE).encode())


def read(file: Path) -> Catalog:
    """Return a catalogue of translations."""
    with file.open("rb") as source:
        return read_po(source, locale=file.parts[-3])


def compiled(catalogue: Catalog) -> bytes:
    """Return the catalogue as Django reads it."""
    target = io.BytesIO()
    write_mo(target, catalogue)
    return target.getvalue()


def update(file: Path, found: Catalog) -> None:
    """Give a catalogue the texts of today, and compile it."""
    catalogue = read(file)
    catalogue.update(found, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    with file.open("wb") as target:
        write_po(target, catalogue, width=120, no_location=True, sort_output=True, omit_header=False)
    file.with_suffix(".mo").write_bytes(compiled(catalogue))


if __name__ == "__main__":
    settings.configure()  # templatize reads none of ours
    django.setup()
    for path in CATALOGUES:
        update(path, texts())
        for empty in (one.id for one in read(path) if one.id and not all([one.string, *one.string])):  # a form may lack
            print(f"{path.relative_to(ROOT)} lacks a translation of {empty!r}.")
