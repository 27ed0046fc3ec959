"""The generated code is what the definition gives."""

from __future__ import annotations

from pathlib import Path

from tests.generate_scoring import generate

SERVING = Path(__file__).parents[3] / "fedscore" / "serving"


def test_the_generated_code_is_that_of_the_definition(tmp_path: Path) -> None:
    generate(tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["score_pb2.py", "score_pb2.pyi", "score_pb2_grpc.py"]
    for name in made:
        assert (tmp_path / name).read_text() == (SERVING / name).read_text(), name
