"""Gemini through its OpenAI-compatible endpoint."""

from preceptor.providers.checked_chat import CheckedChat


class GeminiChat(CheckedChat):
    """A checked model that writes the name of its own tool object before a tool's name."""

    prefixes = ("default_api.", "default_api:")
