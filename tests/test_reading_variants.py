"""Other views of a page cost no more than a page is worth: a poster is not enlarged, and is turned as a smaller one."""

from __future__ import annotations

import pytest
from PIL import Image

from workers.engines import ImageSpec
from workers.reading import variants as views
from workers.reading.variants import variants


def test_views_of_a_large_page_stay_within_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST_PIXELS", 10_000)
    monkeypatch.setattr(views, "MOST_TURNED", 2_500)
    monkeypatch.setattr(views, "enlargement", lambda *_: 4.0)
    spec = ImageSpec(factor=1, max_side=400, takes_large=True, min_letter=8)
    large = list(variants(Image.new("RGB", (100, 100), "white"), spec))
    assert [(view.image.size, view.turn) for view in large] == [
        ((100, 100), 0),
        ((50, 50), 180),
        ((50, 50), 90),
        ((50, 50), 270),
    ]
    assert {(view.across, view.down) for view in large[1:]} == {(0.5, 0.5)}
    small = list(variants(Image.new("RGB", (25, 25), "white"), spec))
    assert [view.image.width for view in small] == [25, 100, 25, 25, 25]
