"""A folder of clips as one HTML page: counts, histograms, yields, and clips to listen to."""
