"""What each kind of stage is given: one frozen model a kind, whose JSON names the stage's folder."""
