"""The page in a real browser, offline: light, dark, on a phone and printed. What is seen is measured in the page's own
layout, and the screenshots go into the test report."""

from __future__ import annotations

import base64
import html as escape
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_html

from flexkit import proc
from flexkit.deadline import Deadline
from flexkit.report import html
from flexkit.report.schema import Report

WIDTHS = (360, 768, 1280)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--run-all-compositor-stages-before-draw",
)  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"
LIGHT = "--blink-settings=preferredColorScheme=1"

# Measures the page in frames of several widths: a browser window has a least width, a frame has none.
PROBE = """
const SEEN = ["#verdict h1", "#validity", ".verdict", ".tile", "#ttft svg", "#breakdown svg", "#reclaim svg",
  "#slowdown svg", "#ratios table", "#published table", "#holds", "#attempts .badge", "#provenance"];
const BOXES = ".tile, .card, .badge, .label, .value, td, th";
function channel(c) { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; }
function luminance(rgb) {
  const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number);
  return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
}
function contrast(a, b) {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + .05) / (y + .05);
}
function visible(e) {
  const box = e ? e.getBoundingClientRect() : null;
  return !!e && e.checkVisibility({ opacityProperty: true }) && box.width > 0 && box.height > 0;
}
function measure(frame) {
  const d = frame.contentDocument, style = frame.contentWindow.getComputedStyle, root = d.documentElement;
  const seen = Object.fromEntries(SEEN.map(name => [name, visible(d.querySelector(name))]));
  const out = [], clipped = [];
  for (const e of d.querySelectorAll("body *")) {
    if (e.closest(".scroll") || e.closest("svg") || !e.checkVisibility()) continue;
    const box = e.getBoundingClientRect();
    if (box.width && (box.right > root.clientWidth + 1 || box.left < -1)) out.push(e.tagName + "." + e.className);
  }
  for (const e of d.querySelectorAll(BOXES)) {
    const wide = e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && style(e).display != "inline";
    if (wide) clipped.push(e.className + ": " + e.textContent.slice(0, 40));
  }
  const look = name => style(d.querySelector(name));
  const ratio = (name, back) => contrast(look(name).color, look(back).backgroundColor);
  return { width: root.clientWidth, scroll: root.scrollWidth, seen, out, clipped,
    background: luminance(style(d.body).backgroundColor),
    contrast: { verdict: ratio(".verdict", "body"), lead: ratio(".lead", "body"), note: ratio(".tile .note", ".tile"),
      label: ratio(".chart .label", ".card"), badge: ratio("#validity", "#validity") } };
}
window.onload = () => { document.getElementById("probe").textContent =
  JSON.stringify([...document.querySelectorAll("iframe")].map(measure)); };
"""


@dataclass(frozen=True)
class Browser:
    """Headless Chromium with a profile of its own for each start."""

    folder: Path

    def run(self, page: Path, *flags: str) -> str:
        profile = self.folder / f"profile-{len(list(self.folder.glob('profile-*')))}"
        command = ["chromium", *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
        return proc.run(command, Deadline(120, "chromium"))

    def measure(self, page: str, scheme: str) -> list[dict[str, Any]]:
        """The probe's findings, one for each of WIDTHS."""
        frames = "".join(
            f'<iframe style="width:{width}px;height:2000px;border:0" srcdoc="{escape.escape(page)}"></iframe>'
            for width in WIDTHS
        )
        harness = self.folder / "harness.html"
        harness.write_text(
            f'<!doctype html><meta charset="utf-8"><pre id="probe"></pre><script>{PROBE}</script>{frames}',
            encoding="utf-8",
        )
        dom = self.run(harness, scheme, "--window-size=1400,2200", "--dump-dom")
        found = re.search(r'<pre id="probe">(.+?)</pre>', dom, re.DOTALL)
        assert found, "the probe did not run"
        return list(json.loads(escape.unescape(found.group(1))))

    def picture(self, page: str, scheme: str, width: int, height: int) -> bytes:
        """A PNG of the page; a narrow one by a frame on a wider window."""
        source, target = self.folder / "page.html", self.folder / "page.png"
        narrow = f'<iframe style="width:{width}px;height:{height}px;border:0" srcdoc="{escape.escape(page)}"></iframe>'
        body = f'<!doctype html><meta charset="utf-8"><body style="margin:0">{narrow}'
        source.write_text(body if width < 500 else page, encoding="utf-8")
        self.run(source, scheme, f"--window-size={max(width, 500)},{height}", f"--screenshot={target}")
        return target.read_bytes()


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


@pytest.fixture
def show(extras: list[Any]) -> Callable[[str, bytes], None]:
    """Put a picture into the test report."""
    return lambda name, picture: extras.append(pytest_html.extras.png(base64.b64encode(picture).decode(), name))


@pytest.mark.parametrize("name", ["good", "many", "bad"])
@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_everything_is_seen_and_nothing_overflows(
    browser: Browser, request: pytest.FixtureRequest, name: str, scheme: str
) -> None:
    for found in browser.measure(html.render(request.getfixturevalue(name)), scheme):
        assert found["seen"] == dict.fromkeys(found["seen"], True), found["width"]
        assert found["out"] == [], found["width"]
        assert found["clipped"] == [], found["width"]
        assert found["scroll"] <= found["width"]
        assert found["background"] > 0.8 if scheme == LIGHT else found["background"] < 0.05
        assert all(ratio >= 4.5 for ratio in found["contrast"].values()), found["contrast"]


@pytest.mark.parametrize(
    ("scheme", "width", "height"),
    [(LIGHT, 1280, 2600), (DARK, 1280, 2600), (LIGHT, 390, 3200)],
    ids=["light", "dark", "phone"],
)
def test_pictures(
    browser: Browser, many: Report, show: Callable[[str, bytes], None], scheme: str, width: int, height: int
) -> None:
    picture = browser.picture(html.render(many), scheme, width, height)
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (max(width, 500), height)
    assert len(picture) > 60_000, "hardly anything is drawn"
    show(f"{width}", picture)


def test_it_prints(browser: Browser, bad: Report, tmp_path: Path) -> None:
    page, target = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(html.render(bad), encoding="utf-8")
    browser.run(page, "--no-pdf-header-footer", f"--print-to-pdf={target}")
    assert target.read_bytes().startswith(b"%PDF")
    assert target.stat().st_size > 50_000
