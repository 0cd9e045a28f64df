"""The demonstration's screen shows what it is told, and lines where there is none."""

import io

import pytest
from rich.console import Console
from rich.live import Live

from daemon.cli.demo_screen import LiveStage, stage
from daemon.demo.sight import DeviceSight, NodeSight, Sight, Stage

RESULT = "0123456789abcdef"


def device(title: str, result: str = RESULT, *, is_paused: bool = False) -> DeviceSight:
    return DeviceSight(title, is_paused, 3, "d" * 20, 5, "f" * 64, result)


SIGHT = Sight(
    [
        device("Ada's laptop"),
        device("Ben's laptop", is_paused=True),
        device("Chloe's laptop", "fedcba9876543210"),
    ],
    [
        NodeSight("Tear it down", "consensus", 4, 0.89, 2, 1),
        NodeSight("A long label " * 20, "emerging", 3, 0.8, 0, 0),
    ],
    "Ada's laptop",
)


def tell(shown: Stage) -> None:
    shown.chapter("They begin")
    shown.tell("Ada: \x1b[31mred")
    shown.show(SIGHT)
    shown.chapter("They go on")


def assert_told(text: str) -> None:
    for each in ("They go on", "Ada's laptop", "Ben's laptop (cut off)", "01234567"):
        assert each in text
    assert "fedcba98" in text
    assert "Tear it down" in text
    assert "3 (emerging)" in text
    assert "\\x1b[31mred" in text


def test_lines_tell_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a screen each part ends with tables; the terminal is not rewritten."""
    with stage(is_watched=False) as shown:
        tell(shown)

    text = capsys.readouterr().out
    assert_told(text)
    assert "They begin" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("size", [(80, 30), (100, 40)])
def test_a_screen_holds_all(size: tuple[int, int]) -> None:
    """Figures are whole, labels give way, and no line is longer than the screen."""
    width, height = size
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None)
    live = Live(console=console, auto_refresh=False)
    shown = LiveStage(live)
    tell(shown)
    for number in range(100):
        shown.tell(f"line {number}")

    console.print(live.renderable)

    lines = out.getvalue().splitlines()
    assert_told(out.getvalue().replace("line 99", "\\x1b[31mred"))
    assert lines[-1] == "line 99"
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "A long label" in out.getvalue()
    assert "…" in out.getvalue()


def test_one_result_is_told_from_several() -> None:
    """All is one when sets and results are."""
    assert not SIGHT.is_one
    assert SIGHT.results == 2
    assert Sight([device("a"), device("b")]).is_one
