"""Text in, labelled speech out: engines speak, gates judge, a ledger remembers; knows nothing of recognisers."""
