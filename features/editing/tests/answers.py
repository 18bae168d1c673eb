"""The rows of repairs in the tests that walk all of REST."""

BODIES = {("POST", "/api/v1/adapters/acme/public/repair"): {"base": "openai-community/gpt2"}}
ELSEWHERE = {"repair": "test_repairs.py: something must be broken"}
TEXTS = [("POST", "/api/v1/adapters/acme/public/repair", "base")]  # fields that are text
FORMS = {"/new": ("owner", "name", "visibility")}
