"""LiteLLM: chat completions and Responses, whole and streamed, and an error."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = (
    "True"  # else it looks for prices elsewhere, and waits where it finds none
)
import litellm

URL = os.environ["PRECEPTOR_URL"]
LINK = f"{URL}/docs/ros2/#what-is-ros-2"
OURS = {"model": "openai/preceptor", "api_base": f"{URL}/v1", "api_key": "any", "num_retries": 0}
ASKED = [{"role": "user", "content": "What is ROS 2?"}]

whole = litellm.completion(messages=ASKED, **OURS).choices[0].message
assert f"[[1]]({LINK})" in whole.content
assert whole.annotations[0]["url_citation"]["url"] == LINK
pieces = [
    chunk.choices[0].delta.content or "" for chunk in litellm.completion(messages=ASKED, stream=True, **OURS)
]
assert "".join(pieces).strip() == whole.content
response = litellm.responses(input="What is ROS 2?", **OURS)
assert response.output[0].content[0].text == whole.content
refused = ""
try:
    litellm.completion(messages=ASKED, response_format={"type": "json_object"}, **OURS)
except litellm.BadRequestError as error:
    refused = str(error)
assert "response_format" in refused
