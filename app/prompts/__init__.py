"""Prompts as versioned data: edited, looked at on real material, compared, tried, switched; and what each call asked."""
