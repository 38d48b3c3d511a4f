"""What every room may use: whole writes, digests, options, packages, locks, progress, the machine."""
