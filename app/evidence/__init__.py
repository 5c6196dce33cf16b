"""Instance -> evidence: what mechanical checks found, before any judge. What was not run says so."""
