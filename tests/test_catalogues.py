"""Every text of the pages has a translation that keeps its placeholders, its markup and its code."""

import re
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.catalog import Message

from tests import catalogues

# Values, elements and code: a translation may neither lose nor invent one.
KEPT = re.compile(r"%\(\w+\)s|\{\w*\}|</?[a-z][^>]*>|`[^`]+`")


@pytest.fixture(scope="module")
def found() -> Catalog:
    return catalogues.texts()


@pytest.mark.parametrize("file", catalogues.CATALOGUES, ids=lambda file: file.parts[-3])
def test_a_catalogue_translates_every_text_and_nothing_else(found: Catalog, file: Path) -> None:
    catalogue = catalogues.read(file)
    texts, translated = ({(one.context, one.id) for one in listed if one.id} for listed in (found, catalogue))
    fix = "run `make texts`, then translate what is empty"
    assert (texts - translated, translated - texts) == (set(), set()), fix
    wrong = {one.id: one.string for one in catalogue if one.id and not is_kept(one)}
    assert wrong == {}, "translate these, with what they keep of the English text, then run `make texts`"
    assert file.with_suffix(".mo").read_bytes() == catalogues.compiled(catalogue), fix


def is_kept(one: Message) -> bool:
    """Return whether each form of a translation is there, is no guess, and keeps what it must."""
    if one.fuzzy or isinstance(one.id, str):
        return not one.fuzzy and bool(one.string) and kept(one.id) == kept(one.string)
    # A language may spell out the number of its first form, and have more forms than English.
    few, many = map(kept, one.id)
    return all(bool(form) and kept(form) in (few, many) for form in one.string)


def kept(text: str) -> list[str]:
    return sorted(KEPT.findall(text))


@pytest.mark.parametrize(
    ("english", "german", "is_right"),
    [
        ("Remove %(name)s", "%(name)s entfernen", True),
        ("Remove %(name)s", "Entfernen", False),
        ("Type `main`", "Geben Sie `haupt` ein", False),
        ("<b>Held</b>", "<b>Zurückgehalten<b>", False),
        ("Close", "", False),
        (("{n} case", "{n} cases"), ("{n} Fall", "{n} Fälle"), True),
        (("{n} case", "{n} cases"), ("{n} Fall", ""), False),
    ],
)
def test_a_translation_that_loses_something_is_found(english: str, german: str, is_right: bool) -> None:
    assert is_kept(Message(english, german)) is is_right
