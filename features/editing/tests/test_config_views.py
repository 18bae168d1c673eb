"""The config of a version in other forms, over REST."""

FILES = "/api/v1/adapters/alice/reviews/revisions/main/files"


def test_a_config_is_read_as_an_older_peft_would_have_saved_it(ask, repository):
    older = ask().get(f"{FILES}/adapter_config.json?view=peft-0.14")
    assert (older.status_code, older.json()["peft_type"]) == (200, "LORA")
    assert older["X-Dovetail-View"].startswith("peft-0.14; ")


def test_a_view_that_is_not_known_or_of_another_file_is_refused(ask, repository):
    for path in ("adapter_config.json?view=onnx", "README.md?view=base"):
        refused = ask().get(f"{FILES}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (400, "value-invalid")
