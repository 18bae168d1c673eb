"""An adapter of the adapters library on the page of commands."""

import json
import re
from html import unescape

from tests.api.conftest import pushed


def text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_an_adapter_of_the_adapters_library_is_used_as_it_was_proven(visit, cast):
    config = {"config": {"reduction_factor": 16}, "model_type": "bert", "model_name": "acme/bert", "name": "mood"}
    files = {"adapter_config.json": json.dumps(config).encode(), "adapter.safetensors": b""}
    pushed(cast, cast.repository("alice/mood"), files=files)
    shown = text(visit().get("/alice/mood/use"))
    assert "from adapters import AutoAdapterModel" in shown
    assert "use_safetensors=True" in shown
    assert "from peft" not in shown
