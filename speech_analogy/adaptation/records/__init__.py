"""What a finished stage says of itself in `stage.json`: the digests of its files, and what made it."""
