"""The command line: texts into clips, shards into one folder, a folder into its report, the engines there are."""
