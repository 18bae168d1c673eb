"""Scripts show texts in the language of the page: those that the page hands to them."""

import json
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Context, Template

from hub.site.words import SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_page_hands_a_script_every_text_that_it_shows(name: str) -> None:
    script = Path(finders.find(f"js/{name}.js")).read_text()
    assert set(re.findall(r'\btranslate\("([^"]+)"', script)) == set(SCRIPTS[name])


def test_the_texts_are_an_attribute_of_the_script_and_left_out_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    template = Template("{% load dovetail %}<script data-words=\"{% script_words 'dovetail' %}\">")
    assert template.render(Context()) == '<script data-words="">'
    monkeypatch.setattr("hub.site.words.gettext", {"Copied": 'Kop"iert'}.__getitem__)
    monkeypatch.setitem(SCRIPTS, "dovetail", ("Copied",))
    assert json.loads(_unescaped(template.render(Context()))) == {"Copied": 'Kop"iert'}


def _unescaped(tag: str) -> str:
    return tag.split('"')[1].replace("&quot;", '"')
