"""Finished models in the formats of other runtimes: one file each, found through an entry-point group."""
