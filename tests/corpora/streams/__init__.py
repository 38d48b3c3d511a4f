"""Tests of speech that is read by parts."""
