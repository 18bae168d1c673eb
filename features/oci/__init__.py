"""Reading by the OCI distribution protocol: repositories as container images, with verdicts that refer to them."""
