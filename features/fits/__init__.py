"""The bases that an adapter fits, by its config and the header of its weights, before anything is uploaded."""
