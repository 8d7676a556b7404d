"""From a folder of pages to an index: discover, parse, split, embed, write."""
