import pathlib

DATA = pathlib.Path(__file__).parent / "modes.txt"


def modes():
    return dict(line.split("=") for line in DATA.read_text().split())
