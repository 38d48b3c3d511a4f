"""What a user or a stranger wrote, read so that it ends in a value or in one line: text, JSON, YAML, tables."""
