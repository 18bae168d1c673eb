"""The page of a verdict with weights and training."""
