"""The rows of derived versions in the tests that walk all of REST."""

ADAPTER = "adapters/{ns}/{name}"
ANSWERS = [
    ("POST", f"{ADAPTER}/revisions/{{rev}}/derive", "alice", {"to": "mlx"}),
    ("GET", f"{ADAPTER}/revisions/{{rev}}/lineage", "alice", None),
    ("GET", f"{ADAPTER}/lineage", "anonymous", None),
]
BODIES = {
    ("POST", "/api/v1/adapters/acme/public/revisions/main/derive"): {
        "to": "",
        "method": "ties",
        "weight": 0.5,
        "density": 0.5,
        "rank": 0,
        "seed": 1,
        "into": "acme/public",
        "head": "average",
        "alpha": 8.0,
        "enable_lora": "true",
        "others": [{"adapter": "acme/public", "revision": "main", "weight": 0.5}],
    },
}
