"""One servable on one device: uint8 (B, h, w, 3) to logits (B, K) and evidence (B, K, h', w')."""
