"""What a row of a release says, and what keeps one out. Pure; a lot that is audited is made of the same rows."""
