"""Words: languages, sentences, phrases and tokens. Nothing here knows of books."""
