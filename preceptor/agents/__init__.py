"""Conversation and answer: triage, the tutors, sessions, checked citations."""

if __name__ == "agents":
    raise ImportError(
        "`preceptor/agents` was imported as `agents`, the name of the OpenAI Agents SDK. Take the `preceptor/` folder "
        "itself off sys.path (run from the project's root, not from inside the package)."
    )
