"""The Hugging Face Hub dialect, byte for byte."""
