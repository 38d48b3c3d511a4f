"""README.md of what is handed on, in Hugging Face's model card form: of what a model's or a vector's record says."""
