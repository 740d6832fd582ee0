"""Bytes to RGB pixels, the manifest's geometry, and the overlay drawn on the original picture."""
