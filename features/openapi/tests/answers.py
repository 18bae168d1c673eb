"""The rows of the document of REST in the tests that walk all of the hub."""

WITHOUT_TOKEN = ["api/v1/openapi.json", "api/v1/docs"]
