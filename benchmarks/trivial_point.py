"""A point that trains nothing: it writes the record of a finished run and ends. Imports only what Python has."""

import json
import os
import sys
import time

began = time.time()
words = dict(word.partition("=")[::2] for word in sys.argv[1:])
folder = words["paths.run"]
record = {
    "schema": 1,
    "id": str(os.getpid()),
    "name": "trivial",
    "seed": int(words["seed"]),
    "command": "",
    "config": {},
    "config_digest": "",
    "state": "finished",
    "exit_code": 0,
    "metrics": {"val/ls_mse": {"value": 1.0, "best": 1.0}},
}
with open(f"{folder}/run.json", "w") as file:
    json.dump(record, file)
with open(f"{folder}/seconds", "w") as file:
    file.write(str(time.time() - began))
