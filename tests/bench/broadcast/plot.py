"""Draws the figures as SVG, by hand: two panels, ratio and processor time by the number of hosts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.machine import RESULTS

WIDTH, HEIGHT, MARGIN = 420, 300, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
PANELS = (("ratio", "time / (size / link rate)", 3.0), ("core_seconds_per_gb", "core-seconds per GB and host", 8.0))


def plot(rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes the plot of the rows without faults, and returns its file."""
    plain = [row for row in rows if row["fault"] == "none"]
    counts = sorted({row["nodes"] for row in plain})
    methods = list(dict.fromkeys(row["method"] for row in plain))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(PANELS) * WIDTH}" height="{HEIGHT + 30}" '
            'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        )
    ]
    for number, (key, title, most) in enumerate(PANELS):
        left, bottom, top = number * WIDTH + MARGIN, HEIGHT - MARGIN, 30
        parts.append(f'<text x="{left}" y="18" font-size="13">{title}</text>')
        for step in range(5):
            value, y = most * step / 4, bottom - (bottom - top) * step / 4
            parts.append(f'<path d="M{left} {y:.0f}H{(number + 1) * WIDTH - 10}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{value:g}</text>')
        places = {
            count: left + (WIDTH - MARGIN - 20) * index / max(1, len(counts) - 1) for index, count in enumerate(counts)
        }
        parts += [f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{n}</text>' for n, x in places.items()]
        for colour, method in zip(COLOURS, methods, strict=False):
            points = [
                (places[row["nodes"]], bottom - (bottom - top) * min(most, row[key]) / most)
                for row in plain
                if row["method"] == method and row[key] is not None
            ]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    for number, (colour, method) in enumerate(zip(COLOURS, methods, strict=False)):
        x = MARGIN + number * 120
        parts.append(f'<rect x="{x}" y="{HEIGHT}" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20}" y="{HEIGHT + 6}">{method}</text>')
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "broadcast.svg"
    path.write_text("\n".join((*parts, "</svg>")) + "\n", encoding="utf-8")
    return path
