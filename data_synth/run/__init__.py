"""Doing a plan: the pool, its workers, the final files, the joining of parts."""
