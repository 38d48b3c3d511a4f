"""A plan of merges carried out tensor by tensor: merge files, the merger, writing."""
