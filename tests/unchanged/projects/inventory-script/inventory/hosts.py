#!/usr/bin/env python3
import json
import os
import pathlib

import yaml

HERE = pathlib.Path(__file__).resolve().parent
hosts = yaml.safe_load((HERE / "data" / "hosts.yml").read_text())
print(
    json.dumps(
        {
            "web": {"hosts": ["web1"], "vars": {"tier": os.environ["TIER"]}},
            "db": {"hosts": ["db1"], "vars": {"tier": "back"}},
            "_meta": {"hostvars": hosts},
        }
    )
)
