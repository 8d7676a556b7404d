"""Text in many languages: languages, sentences, pieces, phrases and tokens. This package is independent of books."""
