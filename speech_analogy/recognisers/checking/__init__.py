"""Noticing loops and silence: what every transcript goes through, whichever family and backend wrote it."""
