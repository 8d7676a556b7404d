"""LangChain: chat completions and Responses, whole and streamed, and a conversation."""

import os

from langchain_openai import ChatOpenAI

URL = os.environ["PRECEPTOR_URL"]
LINK = f"{URL}/docs/ros2/#what-is-ros-2"

for responses in (False, True):
    model = ChatOpenAI(
        model="preceptor", base_url=f"{URL}/v1", api_key="any", max_retries=0, use_responses_api=responses
    )
    whole = model.invoke("What is ROS 2?")
    assert f"[[1]]({LINK})" in whole.text, whole
    assert "".join(piece.text for piece in model.stream("What is ROS 2?")).strip() == whole.text
    said = [("system", "Be brief."), ("user", "What is ROS 2?"), whole, ("user", "And what is a node?")]
    assert model.invoke(said).text
