"""What every part of the client stands on: problems, names, paths, requests, answers, verdicts, locks."""
