"""Transcribing and scoring: WER with clustered intervals, paired comparisons, sweeps over λ."""
