"""Gap vectors that come with the package, each beside its card, and which file a name or a path stands for."""
