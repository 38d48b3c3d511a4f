"""Tests of where a fine-tuning's utterances come from."""
