"""A graph that reads one text at a time, run without fastembed.

fastembed would give the same vectors, but its import takes a twelfth of the CPU of a server's start and 20 MiB, most of
it for what fetches models, reads pictures and shows progress: see decision 0022.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import float32
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions  # pyright: ignore[reportAttributeAccessIssue]
from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class Graph:
    """A tokenizer, and the session of the network that reads its tokens."""

    tokenizer: Tokenizer
    session: Any
    averages: bool
    """Whether the vector is the mean of all tokens' states, and not the state of the first."""

    def states(self, text: str) -> tuple[NDArray[float32], Encoding]:
        """Returns the states of a text's tokens, (tokens, dimensions), and the tokens themselves."""
        tokens = self.tokenizer.encode(text)
        ids = np.array([tokens.ids], np.int64)
        known = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = self.session.run(None, {one.name: known[one.name] for one in self.session.get_inputs()})
        return states[0][0], tokens

    def vector(self, text: str) -> NDArray[float32]:
        """Returns the vector of a text, of length 1, as fastembed computes it, to the bit."""
        states, _ = self.states(text)
        pooled = states.sum(axis=0, dtype=np.float64) / len(states) if self.averages else states[0]
        return (pooled / np.sqrt(np.add.reduce(pooled * pooled))).astype(float32)


def opened(file: Path, *, limit: int, averages: bool) -> Graph:
    """Opens a graph whose tokenizer lies beside it.

    Args:
        file: The graph.
        limit: Most tokens of a text that it reads.
        averages: See `Graph.averages`.
    """
    tokenizer = Tokenizer.from_file(str(file.with_name("tokenizer.json")))
    tokenizer.enable_truncation(limit)
    tokenizer.no_padding()
    options: Any = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return Graph(
        tokenizer, InferenceSession(str(file), options, providers=["CPUExecutionProvider"]), averages
    )
