"""A frozen lot + what people say of its rows -> a claim about the share of defects, or none."""
