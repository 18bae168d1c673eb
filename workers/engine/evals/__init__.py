"""The evaluations, one task a file: the rows of a task, the reading of a model's answer, and the metrics."""
