"""Tests of what `verify` compares."""
