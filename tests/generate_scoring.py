"""Writes the Python code of `score.proto`: `python -m tests.generate_scoring`, after each change of it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["generate"]

_HERE = Path(__file__).parents[1] / "fedscore" / "serving"


def generate(folder: Path) -> None:
    """Writes score_pb2.py, its stub and score_pb2_grpc.py.

    Args:
        folder: Where they go.

    Raises:
        RuntimeError: The compiler refuses the definition.
    """
    from grpc_tools import protoc  # noqa: PLC0415 - needed by whoever changes the definition, and nobody else

    arguments = [
        "protoc",
        f"-I{_HERE}",
        f"--python_out={folder}",
        f"--pyi_out={folder}",
        f"--grpc_python_out={folder}",
        "score.proto",
    ]
    if protoc.main(arguments):
        raise RuntimeError("protoc refuses score.proto: what it says stands above")
    path = folder / "score_pb2_grpc.py"
    text = path.read_text(encoding="utf-8")
    # Generated code imports its neighbour as if it were on the path by itself.
    text = re.sub(
        r"^import score_pb2 as", "from fedscore.serving import score_pb2 as", text, flags=re.MULTILINE
    )
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    generate(_HERE)
