"""What the maps of a network mean: one module a head, with its targets."""
