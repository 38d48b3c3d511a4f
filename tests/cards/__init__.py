"""Cards of what records say."""
