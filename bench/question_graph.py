"""Make `questions.onnx` beside the shipped model: the same weights, multiplied in whole numbers.

    pip install onnx && python bench/question_graph.py preceptor/library/models/bge-small-en-v1.5-int8

The shipped graph turns its 8-bit weights into floats before it multiplies. This one rounds the activations
to 8 bits as well, for each text anew, and multiplies integers: 2.6 times less CPU for a question, 0.23 GB less
memory, a cosine of .998 to the vector of the shipped graph and no loss in nDCG (decision 0010). A vector made
so depends on the other texts of its batch, so it is for single questions only. The file holds no weights of
its own: it names their slots in `model_optimized.onnx`.
"""

import sys
from pathlib import Path

import onnx
from onnx import helper

WEIGHTS = "model_optimized.onnx"
SMALL = 1024
"""Bytes of a tensor that is stored in the graph itself."""


def main(folder: Path) -> None:
    model = onnx.load(folder / WEIGHTS)
    multiply_integers(model.graph)
    refer_to_weights(model.graph, (folder / WEIGHTS).read_bytes())
    made = folder / "questions.onnx"
    made.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(made))


def multiply_integers(graph: onnx.GraphProto) -> None:
    """Put DynamicQuantizeLinear and MatMulInteger in the place of Cast, Mul and MatMul."""
    maker = {output: node for node in graph.node for output in node.output}
    nodes: list[onnx.NodeProto] = []
    gone: set[str] = set()
    quantised: set[str] = set()
    for node in graph.node:
        scaled = maker.get(node.input[1]) if node.op_type == "MatMul" else None
        cast = maker.get(scaled.input[0]) if scaled is not None and scaled.op_type == "Mul" else None
        if scaled is None or cast is None or cast.op_type != "Cast":
            nodes.append(node)
            continue
        gone |= {scaled.output[0], cast.output[0]}
        x, y, weights, scales = node.input[0], node.output[0], cast.input[0], scaled.input[1]
        if x not in quantised:
            quantised.add(x)
            parts = [f"{x}_integer", f"{x}_scale", f"{x}_zero"]
            nodes.append(helper.make_node("DynamicQuantizeLinear", [x], parts))
        nodes += [
            helper.make_node("MatMulInteger", [f"{x}_integer", weights, f"{x}_zero"], [f"{y}_integer"]),
            helper.make_node("Cast", [f"{y}_integer"], [f"{y}_float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{x}_scale", scales], [f"{y}_scale"]),
            helper.make_node("Mul", [f"{y}_float", f"{y}_scale"], [y]),
        ]
    del graph.node[:]
    graph.node.extend(node for node in nodes if not gone & set(node.output))


def refer_to_weights(graph: onnx.GraphProto, weights: bytes) -> None:
    """Put a tensor's place in the file of weights in the place of its bytes."""
    for tensor in graph.initializer:
        length = len(tensor.raw_data)
        if length < SMALL:
            continue
        place = weights.index(tensor.raw_data)
        if weights.find(tensor.raw_data, place + 1) >= 0:
            raise ValueError(f"{tensor.name} is there twice")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", place), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
