"""A page in headless Chromium: what its document is once its script has run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; on Debian: apt-get install chromium")
WATCH = "<script>addEventListener('error', e => { document.documentElement.dataset.failed = e.message; });</script>"


def document(page: Path, script: str = "", place: str = "", size: tuple[int, int] = (1440, 860)) -> str:
    """The document after the page's own script and then `script`; a JavaScript error fails the test."""
    text = page.read_text(encoding="utf-8")
    copy = page.with_name(f"watched-{page.name}")
    copy.write_text(
        text.replace("<head>", f"<head>{WATCH}", 1).replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8"
    )
    done = subprocess.run(
        [
            CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000",
            f"--window-size={size[0]},{size[1]}", "--dump-dom", f"{copy.as_uri()}#{place}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "data-failed" not in done.stdout, done.stdout[:300]
    assert 'data-ready="yes"' in done.stdout
    return done.stdout
