"""The files of one revision as the checks see them, a class for each family."""
