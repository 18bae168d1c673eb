"""Scripts show texts in the language of the page: those that the page hands to them."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Context, Template

from hub.site.words import SCRIPTS, script_texts


def test_a_page_hands_a_script_every_text_that_it_shows() -> None:
    assert import_module("hub.site.urls").urlpatterns  # mounts the pages of features
    handed = {name: set(texts) for name, texts in script_texts().items()}
    scripts = {name: Path(finders.find(f"js/{name}.js")).read_text() for name in handed}
    assert {name: set(re.findall(r'\btranslate\("([^"]+)"', script)) for name, script in scripts.items()} == handed


def test_the_texts_are_an_attribute_of_the_script_and_left_out_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    template = Template("{% load dovetail %}<script data-words=\"{% script_words 'dovetail' %}\">")
    assert template.render(Context()) == '<script data-words="">'
    monkeypatch.setattr("hub.site.words.gettext", {"Copied": 'Kop"iert'}.__getitem__)
    monkeypatch.setitem(SCRIPTS, "dovetail", ("Copied",))
    assert json.loads(_unescaped(template.render(Context()))) == {"Copied": 'Kop"iert'}


def _unescaped(tag: str) -> str:
    return tag.split('"')[1].replace("&quot;", '"')
