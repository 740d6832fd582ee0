"""How fast one bundle is on this machine in every way that it could be served, and which way to take."""
