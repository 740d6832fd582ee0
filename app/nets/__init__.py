"""Architectures by name, heads, and the servable form: uint8 images to (logits, evidence)."""
