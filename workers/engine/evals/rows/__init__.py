"""The rows on which adapters run: the author's, built-in ones, which are chosen, and their doubts."""
