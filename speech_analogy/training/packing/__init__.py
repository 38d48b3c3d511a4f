"""30 s windows in training: several utterances joined in one, or one alone, with and without time stamps."""
