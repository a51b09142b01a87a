"""One page of HTML that needs nothing else: light and dark, for screens, paper and readers."""

from collections.abc import Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #56606a; --paper: #ffffff;
  --card: #f4f6f8; --line: #cfd6dc; --mark: #0b6b3a; --host: #1f5fa8; --guest: #8a4b08; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecef; --soft: #a8b2bb; --paper: #14181c;
  --card: #1e242a; --line: #3a444d; --mark: #5fd08f; --host: #8fc0f5; --guest: #f0b36b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 84rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .25rem 0 .75rem; max-width: 48rem; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; table-layout: fixed;
  min-width: calc(8.5rem + var(--n) * 4.5rem); }
caption { text-align: left; font-weight: 600; padding: .5rem 0 .25rem; }
th, td { text-align: right; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th:first-child { text-align: left; font-weight: 500; }
col.label { width: 36%; }
thead th { font-weight: 600; overflow-wrap: anywhere; }
td { overflow-wrap: anywhere; }
td.best { white-space: nowrap; color: var(--mark); font-weight: 700; }
.meaning { display: block; color: var(--soft); font-size: .85rem; font-weight: 400;
  max-width: 26rem; }
.side { display: grid; gap: 1rem; grid-template-columns: repeat(var(--n), minmax(17rem, 1fr));
  overflow-x: auto; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; min-width: 0; }
.card h4 { margin: 0 0 .5rem; font-size: 1rem; }
.turn { margin: 0 0 .6rem; }
.turn b { color: var(--guest); }
.turn.host b { color: var(--host); }
.given { border-left: .25rem solid var(--line); padding-left: .75rem; }
ul.words { list-style: none; margin: 0; padding: 0; }
blockquote { margin: .25rem 0; padding-left: .75rem; border-left: .25rem solid var(--line); }
@media (max-width: 44rem) { .side { grid-template-columns: 1fr; }
  table { font-size: .875rem; } th, td { padding: .3rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; }
  .wide, .side { overflow: visible; } tr, .turn { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; } }
"""


def format_page(title: str, lead: str, body: Sequence[str]) -> str:
    """A whole page. `title` and `lead` are plain text; `body` are pieces of HTML."""
    inside = "\n".join(body)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="soft">{escape(lead)}</p>
</header>
<main>
{inside}
</main>
</body>
</html>
"""


def format_section(heading: str, pieces: Sequence[str], note: str = "") -> str:
    """A part of a page under a heading; `pieces` are HTML, `note` is plain text."""
    told = f"\n<p>{escape(note)}</p>" if note else ""
    return f"<section>\n<h2>{escape(heading)}</h2>{told}\n" + "\n".join(pieces) + "\n</section>"


def format_html_table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, str, Sequence[tuple[str, bool]]]],
) -> str:
    """A table: each row has a label, what it means, and cells, each with whether it is the best."""
    lines = ['<div class="wide" tabindex="0" role="region" aria-label="' + escape(caption) + '">']
    lines.append(f'<table style="--n: {len(columns)}">\n<caption>{escape(caption)}</caption>')
    lines.append(f'<colgroup><col class="label"><col span="{len(columns)}"></colgroup>')
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines.append(f"<thead><tr><td></td>{heads}</tr></thead>")
    lines.append("<tbody>")
    for label, meaning, cells in rows:
        told = f'<span class="meaning">{escape(meaning)}</span>' if meaning else ""
        line = f'<tr><th scope="row">{escape(label)}{told}</th>'
        for text, best in cells:
            mark = ' class="best"' if best else ""
            said = (
                f'{escape(text)}<span role="img" aria-label=", the best"> ●</span>'
                if best
                else escape(text)
            )
            line += f"<td{mark}>{said}</td>"
        lines.append(f"{line}</tr>")
    lines.append("</tbody>\n</table>\n</div>")
    return "\n".join(lines)
