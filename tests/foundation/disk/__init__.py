"""Tests of what a disk is told, and of what it refuses."""
