"""The picture of a run in the README shows what a terminal shows now, except for the figures."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.source, pytest.mark.slow]

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "benchmarks" / "run.svg"


def words_of(svg: str) -> list[str]:
    """The texts of a picture, without figures and without the length of the bar."""
    texts = " ".join(html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)", svg))
    return re.sub(r"[\d.,:]+", "N", re.sub(r"[━╸╺ \xa0]+", " ", texts)).split()


def test_the_picture_is_of_the_screen_as_it_is(tmp_path: Path) -> None:
    made = tmp_path / "run.svg"
    command = [sys.executable, str(ROOT / "benchmarks" / "picture.py"), "--quick", "--chart", str(made)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    committed = PICTURE.read_text("utf-8")
    advice = "make it again: python benchmarks/picture.py --chart benchmarks/run.svg"
    assert words_of(made.read_text("utf-8")) == words_of(committed), advice
    assert "checking" in words_of(committed)


def test_the_picture_has_no_personal_data_and_needs_no_other_host() -> None:
    committed = PICTURE.read_text("utf-8")
    assert "@" not in committed
    assert set(re.findall(r"\w+://[^\"'\s]+", committed)) == {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert not re.search(r"<image|href|url\((?!#)", committed)
