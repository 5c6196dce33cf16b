"""Picks become instances: the four tasks, the generator's prompts, and the teacher that needs no model."""
