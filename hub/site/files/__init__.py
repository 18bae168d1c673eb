"""The files of a repository: reading, changing and uploading them in the browser."""
