"""Reading from replicas of PostgreSQL: which requests do, which replica is good enough, and what if it fails.

As Django's database engine (`base.py`) this package notes failures of a replica, so that the request can be answered
by the primary.
"""
