"""People, tokens, projects, guidelines and prices: what administrators keep, and signing in."""
