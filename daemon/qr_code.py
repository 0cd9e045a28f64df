"""QR codes: as a picture for a page, and in characters for a terminal. All of segno.

Rule: dark on light, whatever the colours around it: many cameras read nothing else.
"""

import io

import segno


def svg(text: str) -> str:
    """Return `text` as a QR code in SVG."""
    return str(
        segno.make_qr(text, error="m").svg_inline(
            scale=4, border=4, dark="#000", light="#fff"
        )
    )


def in_characters(text: str) -> str:
    """Return `text` as a QR code in half blocks, two rows of squares to a line.

    The blocks are the light squares: print them bright on black.
    """
    drawn = io.StringIO()
    segno.make_qr(text, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue()
