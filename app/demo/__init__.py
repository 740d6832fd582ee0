"""A painter of synthetic carcasses with a known cue, and what makes the demo model of them."""
