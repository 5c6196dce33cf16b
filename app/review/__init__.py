"""Verdict and person -> decision: the queue, the card, undo and the history of an instance."""
