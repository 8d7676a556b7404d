"""Model providers: one client for each, how they fail, and who answers next."""
