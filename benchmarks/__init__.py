"""What we claim about speed and size, runnable: each prints a table and, as its last line, one JSON object."""
