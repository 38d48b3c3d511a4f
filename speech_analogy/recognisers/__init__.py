"""Models that turn speech into text: families, their weights, their windows, how they are loaded."""
