"""A finished run as something to read: Markdown, a web page, the terminal's table, cards."""
