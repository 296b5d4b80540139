"""Make infra/venv, with the packages of the interpreter that runs this."""

import pathlib
import site
import sys
import venv

target = pathlib.Path(__file__).resolve().parent / "infra" / "venv"
venv.create(target, with_pip=False)
(folder,) = target.glob("lib/python*/site-packages")
(folder / "shared.pth").write_text("\n".join(site.getsitepackages()) + "\n")
sys.exit(0)
