"""One validation: its steps from the files to the recorded report."""
