"""The base of the client: problems, names, paths, requests, answers, verdicts, locks."""
