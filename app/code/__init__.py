"""Pure: what the six languages need from us. Parsing, functions with their comments, fingerprints."""
