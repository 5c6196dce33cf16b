"""What a release's basis admits -> a release: immutable, hashed, the same bytes from the same rows."""
