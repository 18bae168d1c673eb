"""Pictures of the pages: numbers in, places of SVG shapes out. A table or a sentence beside each says the same."""
