"""YAML of others ends nothing: not the process, and not its memory."""

import pytest
import yaml

from orchestrator.adapters.safe_yaml import composed, load_yaml


@pytest.mark.parametrize("text", ["[" * 400_000, "a: " + "{a: " * 200_000, "- " * 400_000 + "a"])
def test_a_text_of_too_many_levels_does_not_end_the_process(text: str) -> None:
    """The fast reader would run out of its stack, which no handler of errors notices."""
    for read in (composed, load_yaml):
        with pytest.raises((ValueError, yaml.YAMLError, RecursionError)):
            read(text)


def test_a_long_text_of_few_levels_is_read() -> None:
    """Many values beside one another are data."""
    text = "".join(f"- {{name: task {number}}}\n" for number in range(4_000))
    node = composed(text)
    assert isinstance(node, yaml.SequenceNode)
    assert len(node.value) == 4_000
    assert composed("# nothing") is None
