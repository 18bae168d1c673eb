"""Reading by S3: repositories as objects, for clients that speak nothing else."""
