"""The README leads to every guide."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readme_links_every_guide() -> None:
    """Every guide is linked from the README."""
    text = (ROOT / "README.md").read_text()
    assert [
        path.name for path in sorted((ROOT / "docs/guides").glob("*.md")) if f"docs/guides/{path.name}" not in text
    ] == []
