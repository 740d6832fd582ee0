"""Manifest, model repository on disk, golden images, digests."""
