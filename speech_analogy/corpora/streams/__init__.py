"""Speech that is more than memory holds: read part by part, in a seeded order, as often as it is learned from."""
