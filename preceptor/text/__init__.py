"""Text in many languages: sentences, phrases and tokens. This package is independent of books."""
