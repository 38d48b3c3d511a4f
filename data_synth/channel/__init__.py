"""What happens to speech on its way: prosody, rooms, noise, codecs."""
