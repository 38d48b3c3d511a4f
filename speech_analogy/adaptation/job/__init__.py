"""The user's run: what its texts and recordings hold, and every value that nobody gave, chosen by what was measured."""
