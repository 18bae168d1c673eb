"""Facts that trainers state: in the manifest of a revision and on the page of its verdict, and behind a gate."""

import json

from registry.models import Repository
from tests.api.conftest import FILES, judged, pushed


def test_the_facts_of_the_trainer_are_in_the_manifest_and_on_the_page(ask, cast, repository):
    state = {"global_step": 40, "log_history": [{"step": 10 * at, "loss": 2.5 - at / 2} for at in range(1, 5)]}
    results = b'{"eval_accuracy": 0.875, "<b>": 1}'
    files = {**FILES, "trainer_state.json": json.dumps(state).encode(), "eval_results.json": results}
    judged(pushed(cast, repository, files=files))
    stated = ask().get("/api/v1/adapters/alice/reviews/revisions/main").json()["training"]
    assert {"name": "global_step", "value": 40, "source": "trainer_state.json:global_step"} in stated["facts"]
    assert {"name": "eval_accuracy", "value": 0.875, "source": "eval_results.json:eval_accuracy"} in stated["facts"]
    assert (stated["losses"][0], stated["losses"][-1]) == ([10, 2], [40, 0.5])
    page = ask().get("/alice/reviews/verdict/main").content.decode()
    assert "not measured here" in page
    assert 'points="0.00,1.00 33.33,8.33 66.67,15.67 100.00,23.00"' in page
    assert '<code class="break">&lt;b&gt;</code>' in page
    Repository.objects.filter(pk=repository.pk).update(gated="manual")
    assert ask().get("/api/v1/adapters/alice/reviews/revisions/main").json()["training"] is None
    assert "not measured here" not in ask().get("/alice/reviews/verdict/main").content.decode()
