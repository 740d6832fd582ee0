"""How good a classifier is, and how sure it may be."""
