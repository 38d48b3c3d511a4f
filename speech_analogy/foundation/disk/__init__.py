"""What a disk must be told, and what it may refuse: syncing, names that change places, errors of the system."""
