"""The rows of S3 in the tests that walk all of REST."""

ELSEWHERE = {"s3_key": "test_clients.py: a token asks"}
