"""Reading weight files as data: nothing in them is ever executed."""
