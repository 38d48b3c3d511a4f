"""In which order it is done: a recipe becomes a graph of stages with hashed inputs and estimated costs."""
