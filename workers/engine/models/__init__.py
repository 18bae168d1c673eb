"""The frozen base, how adapters are loaded into it, and how it is put back."""
