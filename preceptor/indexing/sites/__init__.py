"""How each site generator makes its links, read from the generator's own files; nothing of a site is run."""
