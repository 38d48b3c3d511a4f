"""What was found of systems beside their WER, as tables that the terminal, Markdown and the page share."""
