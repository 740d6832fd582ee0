"""What the evidence says: maps, their status and their place on the picture."""
