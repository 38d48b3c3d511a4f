"""What this installation has and can do, and the command that mends each lack."""
