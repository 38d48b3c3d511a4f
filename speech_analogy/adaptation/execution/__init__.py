"""Where it is done: executors behind one protocol, and the one way to fill a stage's folder."""
