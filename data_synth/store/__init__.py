"""The ledger, its key index, and clips as files or tar shards: what makes a synthesis resumable."""
