"""The systems that are compared: trained on what, made of what, and their words in reports."""
