"""The commands of the command line, a file for each group, and the options and the output that they share."""
