"""What this machine makes of the toolkit: speed of every stage, FLOP/s against the measured peak, memory."""
