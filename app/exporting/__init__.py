"""Networks into the form that OpenVINO runs; the only room that knows both torch and OpenVINO."""

FAILED, REFUSED = 3, 4
"""Exit codes of `app.exporting.child`: the network has no such form; the bundle itself is at fault. Python ends with 1 or 2 where
the child itself broke down."""
