"""From a folder of photographs to a bundle that has proved itself."""
