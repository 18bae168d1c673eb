"""Serving engines that workers try with adapters: what each really does becomes a part of its row in the verdict."""
