"""The registered merge methods, and the steps they are made of."""
