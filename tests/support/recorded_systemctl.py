"""A command in the place of systemctl: it writes down what it is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCRIPT: Final = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$*" >> asked
for word; do
    if [ -e "refuse-$word" ]; then cat "refuse-$word" >&2; exit 1; fi
done
case "$*" in *show*) cat shown 2> /dev/null ;; esac
exit 0
"""


@dataclass(frozen=True, slots=True)
class RecordedSystemctl:
    """A stand-in for systemctl, in a folder of its own."""

    folder: Path

    @property
    def command(self) -> Path:
        """The executable file."""
        path = self.folder / "systemctl"
        if not path.exists():
            path.write_text(_SCRIPT)
            path.chmod(0o755)
        return path

    @property
    def asked(self) -> list[str]:
        """What it was asked, questions left out."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if " show" not in line]

    def refuse(self, word: str, complaint: str) -> None:
        """Fail from now on when `word` is among the arguments."""
        (self.folder / f"refuse-{word}").write_text(complaint + "\n")

    def show(self, text: str) -> None:
        """Answer questions with `text`."""
        (self.folder / "shown").write_text(text)
