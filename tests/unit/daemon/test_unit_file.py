"""What stands in a systemd unit is read by systemd as what was meant."""

from pathlib import Path

import pytest

from crdt.errors import InvalidError
from daemon.unit_file import fill


def test_paths_are_escaped_as_systemd_reads_them() -> None:
    """Quotes, backslashes and percent signs keep their meaning; dollars are left."""
    home = Path('/a "b"/c\\d/100%/$HOME')

    filled = fill('Environment="HOME=@HOME@"', {"HOME": home})

    assert filled == 'Environment="HOME=/a \\"b\\"/c\\\\d/100%%/$HOME"'


def test_a_path_is_not_a_template() -> None:
    """A path that looks like a placeholder stays as it is."""
    paths = {"HOME": Path("/@PROGRAM@"), "PROGRAM": Path("/bin/true")}

    assert fill("@HOME@ @PROGRAM@", paths) == "/@PROGRAM@ /bin/true"


@pytest.mark.parametrize("path", ["relative", "/two\nlines", "/bell\a", "/\udcff"])
def test_a_path_that_no_unit_can_hold_is_refused(path: str) -> None:
    """Relative paths, control characters and undecodable bytes are refused."""
    with pytest.raises(InvalidError, match="home: must be absolute"):
        fill("@HOME@", {"HOME": Path(path)})


def test_a_template_asks_for_what_there_is() -> None:
    """A placeholder without a path is a fault of the template."""
    with pytest.raises(KeyError):
        fill("@OTHER@", {"HOME": Path("/home")})
