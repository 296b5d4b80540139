import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import pulumi
from naming import full_name
from records import Record

config = pulumi.Config()
records = [Record(full_name(name), size=config.require("size")) for name in ("one", "two")]
pulumi.export("names", [record.label for record in records])
pulumi.export("size", config.require("size"))
