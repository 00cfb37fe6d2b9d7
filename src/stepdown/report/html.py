"""A report as one HTML page that asks nothing of anyone: no script, no font, no request.

Readable on a phone (the table becomes a list of cards), in light and in dark, on paper and by a screen
reader.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from html import escape
from importlib import resources
from typing import Any

from stepdown.compare import Comparison
from stepdown.evaluate import MetricName
from stepdown.report import judged
from stepdown.report.content import MIND, Content, Line, content
from stepdown.report.figures import NONE, clean
from stepdown.report.plot import caption, legend, plot
from stepdown.results import Cell, Results, parse

DETAILS: tuple[tuple[MetricName, str], ...] = (
    ("micro_f1", "micro F1"),
    ("pearson", "Pearson"),
    ("spearman", "Spearman"),
    ("rmse", "RMSE"),
    ("mae", "MAE"),
    ("accuracy", "accuracy"),
    ("macro_f1", "macro F1"),
    ("mcc", "MCC"),
    ("agreement", "as teacher"),
    ("kl", "KL"),
    ("nll", "NLL"),
    ("ece", "ECE"),
    ("nll_uncalibrated", "NLL before"),
    ("ece_uncalibrated", "ECE before"),
)
"""Columns of the table of cells; those of which the task has no metric are left out. Before: calibration."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Tells the browser to load nothing at all, whatever a name in the results may hold."""


def html(results: Mapping[str, Any] | Results) -> str:
    """The report as a self-contained page.

    Args:
        results: the dict of a `results.json`.

    Raises:
        InputError: the dict does not follow the schema.
    """
    run = parse(results)
    told = content(run)
    style = resources.files("stepdown.report").joinpath("style.css").read_text(encoding="utf-8")
    sections = [_section(heading, said) for heading, said in told.sections.items() if heading != MIND]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{_text(told.title)} · stepdown</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<header><h1>{_text(told.title)}</h1><p>{_text(told.headline)}</p></header>",
            _warnings(told.warnings),
            _table(told),
            _figure(run),
            *sections[:2],
            _try(told),
            *sections[2:],
            _cells(run.cells),
            _comparisons(run.comparisons),
            _recipe(run),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _text(text: str) -> str:
    return escape(clean(text))


def _warnings(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return f'<aside aria-label="Warnings"><h2>{MIND}</h2><ul>{items}</ul></aside>'


def _table(told: Content) -> str:
    head = "".join(f'<th scope="col">{_text(heading)}</th>' for heading in astuple(told.headings))
    body = "\n".join(_row(line, told.headings) for line in told.lines)
    return (
        '<section><h2>The ladder</h2><table class="ladder">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        f'<p class="note">{_text(told.caption)} {_text(told.legend)}</p></section>'
    )


def _row(line: Line, headings: Line) -> str:
    """A row of the ladder; on a narrow screen its style shows each cell with the heading it carries."""
    cells = []
    for field, heading, text in zip(fields(Line), astuple(headings), astuple(line), strict=True):
        tag, scope = ("th", ' scope="row"') if field.name == "model" else ("td", "")
        label = escape(heading.split(" (")[0])
        cells.append(f'<{tag}{scope} class="{field.name}" data-label="{label}">{_text(text)}</{tag}>')
    return f"<tr>{''.join(cells)}</tr>"


def _figure(run: Results) -> str:
    title = judged.title(run)
    drawing = plot(run.rungs, run.metric, title)
    if not drawing:
        return ""
    words = _text(f"{caption(title)}, with 95% intervals.")
    return f"<figure>\n{drawing}\n{legend(run.rungs, run.metric)}<figcaption>{words}</figcaption></figure>"


def _section(heading: str, sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    return f"<section><h2>{_text(heading)}</h2><ul>{items}</ul></section>"


def _try(told: Content) -> str:
    said = ""
    if told.bundle and told.command:
        bundle, command = _text(told.bundle), _text(told.command)
        said = f"<p>The bundle is in <code>{bundle}</code>.</p><pre><code>{command}</code></pre>"
    return f"<section><h2>Try it</h2>{said}<p>{_text(told.advice)}</p></section>"


def _cells(cells: Sequence[Cell]) -> str:
    shown = [
        (metric, heading) for metric, heading in DETAILS if any(metric in cell.metrics for cell in cells)
    ]
    calibrated = any(cell.calibration for cell in cells)
    rows = [
        [
            cell.id,
            cell.arm or NONE,
            str(cell.seed),
            *(f"{cell.metrics[m].value:.4f}" if m in cell.metrics else NONE for m, _ in shown),
            *((f"{cell.calibration.temperature:.3g}" if cell.calibration else NONE,) if calibrated else ()),
            f"{cell.seconds:,.0f}",
        ]
        for cell in cells
    ]
    temperature = ("temperature",) if calibrated else ()
    headings = ["cell", "arm", "seed", *(heading for _, heading in shown), *temperature, "seconds"]
    return _details("Every model, on the report split", headings, rows)


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    rows = [
        [
            f"{c.b} against {c.a}",
            c.metric,
            f"{c.difference:+.4f}",
            f"{c.low:+.4f} to {c.high:+.4f}",
            f"{c.p:.4f}",
            NONE if c.p_adjusted is None else f"{c.p_adjusted:.4f}",
            NONE if c.resolution is None else f"{c.resolution:.4f}",
            f"{c.seeds}",
            f"{c.n:,}",
            c.verdict,
        ]
        for c in comparisons
    ]
    headings = ["comparison", "metric", "difference", "95% interval", "p", "p (Holm)", "could have shown"]
    return (
        _details("Every comparison, in numbers", [*headings, "seeds", "texts", "verdict"], rows)
        if rows
        else ""
    )


def _details(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_text(heading)}</th>' for heading in headings)
    body = "\n".join(
        f'<tr><th scope="row">{_text(row[0])}</th>'
        + "".join(f"<td>{_text(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<details><summary>{_text(title)}</summary><div class="scroll" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div></details>"
    )


def _recipe(run: Results) -> str:
    where = run.environment
    facts = [
        f"stepdown {where.stepdown}, Python {where.python}, {where.platform}",
        f"trained on {where.device} in {where.precision}, {where.threads} threads",
        ", ".join(f"{package} {version}" for package, version in where.packages.items()),
    ]
    items = "".join(f"<li>{_text(fact)}</li>" for fact in facts if fact)
    # Line breaks are ours, from the dump; whatever the strings held is escaped in it.
    recipe = escape(json.dumps(run.recipe, indent=2, ensure_ascii=False, default=str))
    return (
        f"<details><summary>Where it ran, and the recipe</summary><ul>{items}</ul>"
        f'<div class="scroll" tabindex="0"><pre><code>{recipe}</code></pre></div></details>'
    )
