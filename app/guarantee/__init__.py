"""What a release may claim about its defects: a frozen lot, a test that may be looked at any time, its certificate. Pure."""
