"""Contents of a revision: card, facts, tags, training, and the difference of two revisions."""
