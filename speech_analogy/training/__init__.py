"""Fine-tuning: options, batches, features, precision, checkpoints that are resumed bit for bit."""
