"""What is to be spoken: texts, templates with slots, spoken forms, fingerprints of what was spoken before."""
