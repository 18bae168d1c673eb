"""The config of a version in other forms, over REST."""

FILES = "/api/v1/adapters/alice/reviews/revisions/main/files"


def test_a_config_for_an_older_peft_is_a_labelled_view(ask, repository):
    address = "/api/v1/adapters/alice/reviews/revisions/main/files/adapter_config.json"
    answer = ask().get(address, {"view": "peft-0.14"})
    assert answer.status_code == 200, answer.content
    assert answer["X-Dovetail-View"].startswith("peft-0.14")
    for path, view in (
        ("adapter_config.json", "peft-9"),
        ("README.md", "repaired"),
        ("adapter_config.json", "repaired"),
    ):
        refused = ask().get(address.replace("adapter_config.json", path), {"view": view})
        assert refused.status_code == 400, (path, view)


def test_a_view_that_is_not_known_or_of_another_file_is_refused(ask, repository):
    for path in ("adapter_config.json?view=onnx", "README.md?view=base"):
        refused = ask().get(f"{FILES}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (400, "value-invalid")
