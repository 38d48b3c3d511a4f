"""What a reader decides by: the verdict, every utterance, and how to load the model."""
