"""The example bank: which judged cases prompts may show, and what people say about them."""
