"""The page of a verdict with weights and training, repairs, and tries."""
