"""Discussions and pull requests in the domain: what pushes and moderators do with them."""

from features.discussions import pull_requests, thread_entries
from registry.kernel.seams import Feature, Threads

FEATURE = Feature(
    threads=Threads(pull_requests.permission_for, pull_requests.propose, pull_requests.note_commit, thread_entries.hide)
)
