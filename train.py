"""Train a model: `python train.py model=wavegrad [trainer=ddp] [experiment=PAPER/ROW] [key=value ...]`.

The same as `reprise train`; `python train.py --help` says more.
"""

from __future__ import annotations

import sys

from reprise.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
