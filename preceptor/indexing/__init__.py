"""The indexer: discovers, parses, splits, embeds and writes a folder of pages."""
