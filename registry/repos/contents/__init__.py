"""What the files of a revision say: card, facts, tags, training, and how two revisions differ."""
