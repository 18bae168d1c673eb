"""The evaluation in full: rows, mixed-up labels, cost, strength, other library versions, and the run itself."""
