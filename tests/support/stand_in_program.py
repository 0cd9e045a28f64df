"""The program with the stand-in model in place of the real one.

Everything else is as it is: homes, processes, links, the API and the command line.
"""

import functools
import os
import sys
from pathlib import Path
from typing import Final

from consensus.embedder import Embedder
from daemon.cli import main
from daemon.demo import town
from daemon.meaning import opening
from tests.support.stand_in_model import COMMAND, MILL

PROGRAM: Final = (sys.executable, "-m", "tests.support.stand_in_program")
VARIABLES: Final = {
    "FRACTALITY_EMBEDDINGS": "true",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}
"""Settings of a daemon that is to embed by the stand-in."""

if __name__ == "__main__":
    os.environ["FRACTALITY_MODEL"] = f"/nowhere/{MILL}"
    vars(opening)["Embedder"] = functools.partial(Embedder, command=COMMAND)
    vars(town)["PROGRAM"] = PROGRAM  # daemons that it starts have it as well
    main()
