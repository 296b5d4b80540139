EXPECTED = {"web1": "one", "web2": "two"}
