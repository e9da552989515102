"""Training by a recipe, with Lightning."""
