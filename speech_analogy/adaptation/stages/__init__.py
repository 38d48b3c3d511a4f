"""What is done: one function for each kind of stage, from the folders it reads to the folder it fills."""
