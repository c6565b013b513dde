"""The pictures in docs/images, made from real runs: `python docs/make_images.py [NAME ...]`. Needs Chromium.

Terminal output is what the commands print, with its colours; pages are screenshots of `scale trace --html`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
RUN = ("run", "examples/game24/solve.py", "-i", "numbers=4 5 6 10", "-e", "smc(particles=16)", "--seed", "0")
INK = TerminalTheme(
    (22, 27, 34), (220, 227, 234),
    [(72, 82, 94), (240, 119, 106), (120, 200, 130), (242, 194, 107), (121, 174, 245), (183, 155, 230), (63, 193, 208), (220, 227, 234)],
    [(110, 122, 136), (255, 150, 138), (150, 220, 160), (255, 215, 140), (150, 195, 255), (205, 180, 250), (110, 220, 230), (255, 255, 255)],
)  # fmt: skip
WINDOW = """<!doctype html><meta charset=utf-8><style>
body{{margin:0;background:#fff}}.w{{background:#161b22;border-radius:12px;margin:14px;padding:38px 20px 16px;width:max-content;position:relative;
box-shadow:0 4px 18px #0004}}.w:before{{content:"● ● ●";position:absolute;top:9px;left:18px;font:13px sans-serif;letter-spacing:3px;color:#4a5563}}
pre{{margin:0;font:14px/{line}px "DejaVu Sans Mono","Noto Sans Mono",Menlo,Consolas,monospace;color:#dce3ea}}</style>
<div class=w><pre>{code}</pre></div>"""
LINE = 19


def printed(*command: str, width: int) -> str:
    """What a command prints on a terminal of this width, with its colours as escape codes."""
    env = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(width), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    env.pop("NO_COLOR", None)
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout.rstrip("\n")


def terminal(name: str, shown: str, output: str, width: int) -> None:
    """A picture of a terminal in which `shown` was typed."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=width, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.assemble(("$ ", "green"), (shown, "bold")))
        console.print(Text.from_ansi(output))
        columns = max(map(len, console.export_text(clear=False).splitlines()))
        code = console.export_html(theme=INK, inline_styles=True, code_format="{code}")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "terminal.html"
        page.write_text(WINDOW.format(code=code, line=LINE), encoding="utf-8")
        screenshot(page, name, (round(columns * 8.43) + 72, LINE * code.count("\n") + 84))


def screenshot(page: Path, name: str, size: tuple[int, int], place: str = "", scale: float = 1.5) -> None:
    """A page as docs/images/NAME.png."""
    assert CHROMIUM is not None, "needs Chromium: apt-get install chromium"
    out = IMAGES / f"{name}.png"
    subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=4000",
            f"--force-device-scale-factor={scale}", f"--window-size={size[0]},{size[1]}", f"--screenshot={out}",
            f"{page.as_uri()}#{place}",
        ],
        capture_output=True, check=True,
    )  # fmt: skip
    print(f"{out.relative_to(ROOT)}: {out.stat().st_size // 1024} kB")


def scale(*arguments: str, width: int = 96) -> str:
    return printed(sys.executable, "-m", "cli.main", *arguments, width=width)


def card() -> None:
    typed = 'scale run examples/game24/solve.py -i numbers="4 5 6 10" -e "smc(particles=16)" --seed 0'
    terminal("card", typed, scale(*RUN), 96)


def tree() -> None:
    """The page of a run, in both views, and in the dark."""
    with tempfile.TemporaryDirectory() as folder:
        scale(*RUN, "--out", folder)
        page = Path(folder) / "tree.html"
        scale("trace", folder, "--html", str(page))
        screenshot(page, "tree", (1440, 860), "node=5", 1.0)
        screenshot(page, "tree-dark", (1440, 860), "theme=dark", 1.0)
        screenshot(page, "tokens", (1440, 860), "view=tokens", 1.0)
        terminal("trace", "scale trace DIR", scale("trace", folder, width=90), 90)


def demo() -> None:
    output = printed(sys.executable, "examples/game24/compare.py", "--puzzles", "40", "--seeds", "1", width=84)
    terminal("demo", "make demo", output, 84)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["card", "tree", "demo"]
    for each in wanted:
        {"card": card, "tree": tree, "demo": demo}[each]()
