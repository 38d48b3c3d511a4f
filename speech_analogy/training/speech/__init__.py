"""Where a fine-tuning's utterances come from: a list in memory, or shards that are read as their turn comes."""
