"""A queue in front of one device: moves opaque entries, never looks inside."""
