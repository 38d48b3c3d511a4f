"""What is asked of systems once they are transcribed and scored: details of each, and what several say together."""
