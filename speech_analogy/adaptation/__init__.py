"""From a recipe to an adapted model and its measurements."""
