"""Sphinx with furo and the widget on every page."""

project = "Physical AI"
language = "en"
extensions = ["myst_parser"]
html_theme = "furo"
html_baseurl = "https://book.example/book/"
html_js_files = [
    (
        "https://tutor.example/widget.js",
        {"async": "async", "data-color": "var(--color-brand-primary)"},
    ),
]
