"""Task vectors: their arithmetic, files, compression, LoRA adapters, comparison."""
