"""Judged cases that come with the product, shown while a project has none of its own."""
