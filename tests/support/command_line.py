"""The command line as a test runs it: in this process, on a given home."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from daemon.cli.local import Local
from daemon.cli.root import cli


@dataclass(frozen=True)
class CommandLine:
    """Runs commands on one home."""

    home: Path
    local: Local | None = None

    def run(self, *arguments: str, input: str | None = None) -> Result:
        """Run `fractality --home HOME ARGUMENTS`; let faults of the program raise."""
        result = CliRunner().invoke(
            cli,
            ["--home", str(self.home), *arguments],
            prog_name="fractality",
            input=input,
            obj=self.local,
            env={"NO_COLOR": "1"},
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str) -> Any:
        """Run a command with `--json`; return what it printed, decoded."""
        return json.loads(self.run("--json", *arguments).stdout)
