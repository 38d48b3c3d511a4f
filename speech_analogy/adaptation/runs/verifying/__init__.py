"""What `verify` compares: scores and figures with transcripts and stages, the published copy with its stage."""
