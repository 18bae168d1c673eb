"""Files changed in the browser: uploaded, edited, and mended by a button; the mending by REST too."""
