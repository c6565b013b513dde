"""The card of a result in a notebook: markup and styles only, nothing to run and nothing to fetch."""

from __future__ import annotations

from html import escape

from ppl.display import facts, particles, remarks, rows, title
from ppl.results import Posterior, Result

_CSS = """
.scale-card{font:13px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;color:#1f2933;background:#fff;border:1px solid #d9dee5;
border-radius:10px;padding:14px 18px;max-width:860px;margin:4px 0}
.scale-card .h{font-size:15px;font-weight:650}.scale-card .d{color:#6b7785}.scale-card .g{display:grid;gap:3px 14px;align-items:center}
.scale-card .a{grid-template-columns:auto 180px minmax(0,1fr);margin:12px 0}.scale-card .f{grid-template-columns:auto minmax(0,1fr)}
.scale-card .n{font-variant-numeric:tabular-nums;text-align:right}.scale-card .b{height:9px;border-radius:5px;background:#e9edf2;overflow:hidden}
.scale-card .b i{display:block;height:100%;border-radius:5px;background:#0e8a9b}.scale-card code{font:12px/1.5 ui-monospace,Menlo,Consolas,monospace;
background:none;color:inherit;white-space:pre;overflow:hidden;text-overflow:ellipsis}.scale-card .top code{font-weight:650}
.scale-card .w{color:#9a5b00;background:#fff6e5;border-radius:6px;padding:3px 9px;margin-top:6px}
.scale-card svg{vertical-align:middle}
@media(prefers-color-scheme:dark){.scale-card{color:#dde3ea;background:#161b22;border-color:#303842}.scale-card .d{color:#8f9baa}
.scale-card .b{background:#2a323c}.scale-card .b i{background:#3fc1d0}.scale-card .w{color:#f2c26b;background:#33280f}}
"""


def html(result: Result) -> str:
    """The notebook card: markup and styles only, nothing to run and nothing to fetch."""
    heading, details_line = title(result)
    shown, more, rest = rows(result)
    answers = "".join(_html_row(row.text, row.weight, "top" if i == 0 else "") for i, row in enumerate(shown))
    if more:
        answers += _html_row(f"{more:,} more", rest, "d")
    if not shown:
        answers = f"<span></span><span></span><span>{escape(result.why_empty())}</span>"
    details = "".join(
        f"<span class=d>{label}</span><span>{_html_fact(result, label, text)}</span>" for label, text in facts(result)
    )
    notes = "".join(f"<div class=w>{escape(note)}</div>" for note in remarks(result))
    return (
        f"<div class=scale-card><style>{_CSS}</style><div class=h>{escape(heading)}</div><div class=d>{escape(details_line)}</div>"
        f"<div class='g a'>{answers}</div><div class='g f'>{details}</div>{notes}</div>"
    )


def _html_fact(result: Result, label: str, text: str) -> str:
    if label == "ESS" and isinstance(result, Posterior):
        return f"{result.ess:.1f} of {particles(result)} {_chart(result)}"
    return escape(text)


def _html_row(text: str, weight: float, style: str) -> str:
    cells = f"<span class=n>{weight:.4f}</span><span class=b><i style='width:{100 * weight:.1f}%'></i></span><code>{escape(text)}</code>"
    return f"<div class='{style}' style='display:contents'>{cells}</div>"


def _chart(result: Posterior) -> str:
    """The effective sample size over the steps, as a drawing of bars."""
    steps, top = result.ess_steps, particles(result)
    if not steps:
        return ""
    width = max(2.0, min(9.0, 240 / len(steps)))
    bars = "".join(
        f"<rect x='{i * width:.1f}' y='{22 - 22 * v / top:.1f}' width='{width - 1:.1f}' height='{22 * v / top:.1f}' rx=1 fill='#0e8a9b'/>"
        for i, v in enumerate(steps)
    )
    size = len(steps) * width
    return f"<svg width='{size:.0f}' height=22 role=img aria-label='effective sample size at each step'>{bars}</svg> <span class=d>lowest {min(steps):.1f} over {len(steps)} steps</span>"
