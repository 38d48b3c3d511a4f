"""How English reads numbers, dates and quantities aloud."""
