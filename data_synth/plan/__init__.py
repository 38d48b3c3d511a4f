"""Who speaks what, with which seeds, and where each clip will lie; nothing is spoken here."""
