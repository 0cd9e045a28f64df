"""A QR code is drawn so that cameras read it."""

import re
from xml.etree import ElementTree as ET

from daemon.qr_code import in_characters, svg

LINK = "fractality:pair?code=7-orbit-ladder&at=192.168.178.23:7374"


def test_the_picture_is_dark_on_light() -> None:
    """It brings its own light ground, and runs nothing and loads nothing."""
    picture = ET.fromstring(svg(LINK))

    colours = re.findall(r"#[0-9a-f]+", svg(LINK))
    assert colours == ["#fff", "#000"]
    assert {each.tag for each in picture.iter()} == {"svg", "g", "path"}


def test_the_characters_are_a_square() -> None:
    """Two rows of squares go into a line, and the margin is light all around."""
    lines = in_characters(LINK).splitlines()

    widths = {len(line) for line in lines}
    assert len(widths) == 1
    assert 0 <= 2 * len(lines) - widths.pop() <= 1
    assert set(lines[0]) == {"█"}
    assert all(line[:2] == line[-2:] == "██" for line in lines[:-1])


def test_a_text_is_drawn_the_same_every_time() -> None:
    """What is shown twice is one code, another text is another."""
    assert svg(LINK) == svg(LINK) != svg(LINK + "0")
