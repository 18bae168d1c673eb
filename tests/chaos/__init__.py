"""The production shape, broken on purpose under load: `make chaos`.

It lives beside the tests since it runs on their parts (tests/ops/production.py) and passes or fails as they do; a bench
measures. It is no test of pytest: one run takes half an hour.
"""
