"""The sample book, and settings that serve it without any key."""

from pathlib import Path
from typing import Any

from preceptor.settings import Settings

SOURCE = Path(__file__).parent.parent / "examples/physical-ai"
ID = "physical-ai"
TITLE = "Physical AI & Humanoid Robotics"


def sample_settings(index: Path, folder: Path, /, **tables: dict[str, Any]) -> Settings:
    """Settings of the demo: embedded index, offline tutor, no limits.

    Args:
        index: Folder of the index.
        folder: Where the sessions and traces of one test go.
        tables: More settings by section, such as `server={"max_question": 100}`.
    """
    demo: dict[str, dict[str, Any]] = {
        "book": {"id": ID, "title": TITLE, "subject": "robotics with ROS 2"},
        "index": {"backend": "embedded", "path": index, "collection": "demo"},
        "tutor": {"providers": ()},
        "session": {"url": f"sqlite:///{folder}/sessions.db"},
        "traces": {"path": folder / "traces.db"},
        "limits": {"rate": "", "client_budget": 0, "budget": 0},
    }
    merged = {name: {**demo.get(name, {}), **tables.get(name, {})} for name in {**demo, **tables}}
    return Settings.model_validate({"env": "demo", **merged})
