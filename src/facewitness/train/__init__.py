"""Training recipes, each read from top to bottom."""
