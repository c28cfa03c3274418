"""The report in headless Chromium: no complaint, every figure visible, no text over another, tables that sort."""

import json
import re
import shutil
import subprocess

import pytest

import analysis

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--hide-scrollbars"]
# run in the page itself: a file's frames are strangers to each other
MEASURE = """
const shown = (element) => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
const hidden = [...document.querySelectorAll("figure svg, figure img")].filter((each) => !shown(each)
    && !each.closest("details:not([open])")).length;
const overlaps = [];
for (const figure of document.querySelectorAll("figure svg")) {
  const texts = [...figure.querySelectorAll("text")].filter((text) => text.textContent.trim() && shown(text));
  const boxes = texts.map((text) => text.getBoundingClientRect());
  for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
    const [a, b] = [boxes[i], boxes[j]];
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1.5 && tall > 0.35 * Math.min(a.height, b.height))
      overlaps.push(texts[i].textContent + " / " + texts[j].textContent);
  }
}
const table = document.querySelector("#improvement table");
const head = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.startsWith("Improvement"));
const column = () => [...table.tBodies[0].rows].map((row) => row.cells[head].firstChild.textContent);
table.tHead.rows[0].cells[head].click();
const rising = column();
table.tHead.rows[0].cells[head].click();
const found = {hidden, overlaps, wide: document.documentElement.scrollWidth - innerWidth, width: innerWidth,
  figures: document.querySelectorAll("figure svg, figure img").length, rising, falling: column()};
const text = JSON.stringify(found).replace(/</g, "&lt;");
document.body.insertAdjacentHTML("beforeend", "<pre id=found>" + text + "</pre>");
"""


@pytest.fixture(scope="module")
def page(written_once, tmp_path_factory):
    """A report with three arms, full scores and a failed trial, that measures itself when it is opened."""
    html = analysis.write_report(analysis.load(written_once), tmp_path_factory.mktemp("page") / "report.html")
    text = html.read_text().replace(
        "</body>", f"<script>addEventListener('load', () => {{{MEASURE}}});</script></body>"
    )
    html.write_text(text)
    return html


def opened(page, tmp_path, *flags):
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    return json.loads(re.search(r"<pre id=\"found\">(.*?)</pre>", done.stdout, re.DOTALL)[1].replace("&lt;", "<"))


@pytest.mark.parametrize("flags", [["--window-size=1200,2000"], ["--window-size=500,2000", "--force-dark-mode"]])
def test_the_report_in_a_browser(page, tmp_path, flags):
    found = opened(page, tmp_path, *flags)
    assert found["figures"] > 8 and found["hidden"] == 0
    assert found["overlaps"] == []
    assert found["wide"] <= 0, "the page itself does not scroll sideways"
    numbers = [float(re.sub("[^0-9.-]", "", each.replace("\u2212", "-"))) for each in found["rising"]]
    assert numbers == sorted(numbers) and found["falling"] == found["rising"][::-1]
