"""Long work of every kind, shown and steered: progress, pause, resume, cancel, raw replies of what went wrong."""
