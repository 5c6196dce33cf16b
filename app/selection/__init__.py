"""snippets -> picks: a core set that covers the raw code."""
