"""The Whisper family: model, front end, decoding, file formats, CTranslate2."""
