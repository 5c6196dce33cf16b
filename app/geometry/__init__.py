"""Points in space: which few of them cover all the others. Pure."""
