"""Reading repositories: refs, trees, cards, the catalog, downloads, derived artifacts."""
