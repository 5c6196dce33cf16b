"""Instances get a verdict, rule by rule: the rules, the judge's prompts, and the judge that needs no model."""
