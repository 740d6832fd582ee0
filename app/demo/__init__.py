"""A painter of synthetic carcasses with a known cue, and the recipe of the demo model."""
