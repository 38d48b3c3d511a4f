"""Decoding with a domain's text: n-gram fusion, bonuses for words, prompts; knows tokens and no model."""
