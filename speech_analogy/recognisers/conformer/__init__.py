"""Wav2Vec2-Conformer with a CTC head: raw waveforms in, characters out."""
