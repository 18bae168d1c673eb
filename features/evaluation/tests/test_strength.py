"""The strength curve on the page of a verdict, as a drawing and in words, and in REST."""

from tests.api.conftest import judged, pushed

POINTS = [
    {"scale": scale, "effect": round(scale * 0.8, 2), "score": score, "drift": round(scale * 0.1, 3)}
    for scale, score in ((0, 0.5), (0.25, 0.7), (0.5, 0.91), (0.75, 0.92), (1, 0.93), (1.25, 0.88))
]
STRENGTH = {"metric": "accuracy", "better": "higher", "rows": 48, "points": POINTS, "recommended": 0.5, "left_out": ""}
EVALS = [{"name": "smoke", "rows": 48, "metric": "accuracy", "base": 0.5, "adapter": 0.93}]


def test_the_curve_is_drawn_and_its_numbers_stand_beside_it(visit, cast):
    judged(pushed(cast, cast.repository("alice/reviews")), evals=EVALS, depth="evaluated", strength=STRENGTH)
    page = visit().get("/alice/reviews/verdict/main").content.decode()
    assert "<b>0.50</b> is the smallest scale" in page
    for number in ("0.91", "0.93", "0.88", "1.25"):
        assert f'<td class="right">{number}</td>' in page or f'class="right">{number}</th>' in page, number
    assert page.count("<polyline") == 1
    answer = visit().get("/api/v1/adapters/alice/reviews/revisions/main/verdict").json()
    assert answer["strength"] == STRENGTH


def test_a_curve_that_was_left_out_says_why(visit, cast):
    left_out = {"metric": "", "points": [], "left_out": "Only methods of the LoRA family have a scale."}
    judged(pushed(cast, cast.repository("alice/reviews")), evals=EVALS, depth="evaluated", strength=left_out)
    page = visit().get("/alice/reviews/verdict/main").content.decode()
    assert "was not measured: Only methods of the LoRA family" in page
