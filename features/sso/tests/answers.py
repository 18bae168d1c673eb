"""The rows of sign-on in the tests that walk all routes."""

GIVING = [("ada", "POST", "moderation/directory", {"name": "Entra", "days": "30"})]
# They send the browser to the provider and away from it: test_sign_on.py
DANGEROUS = ["settings/security/linked/with/<provider>", "settings/security/linked/<number>/remove"]
