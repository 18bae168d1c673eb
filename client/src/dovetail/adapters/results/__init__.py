"""Results: the answer of a check, the parts of a verdict, and the programs of *Use*."""
