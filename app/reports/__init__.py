"""Reports that are read and printed: one HTML file that needs nothing but itself."""
