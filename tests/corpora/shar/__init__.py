"""Tests of reading Lhotse Shar."""
