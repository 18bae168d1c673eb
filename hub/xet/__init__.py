"""The Xet dialect: content-addressed chunks, as hf_xet speaks it."""
