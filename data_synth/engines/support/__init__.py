"""What engines share: programs, pretrained models, reference speakers, sampling, pace."""
