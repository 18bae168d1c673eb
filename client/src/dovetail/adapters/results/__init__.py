"""What a check answers, what a verdict is made of, and the programs of *Use*."""
