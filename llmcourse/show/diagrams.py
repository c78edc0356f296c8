"""Diagrams of what goes where: heads that share keys, and tensors that flow."""

from collections.abc import Mapping, Sequence

from .picture import BLUE, COLORS, WIDTH, Picture, rect, text


def sharing(panels: Mapping[str, Sequence[int]], caption: str) -> Picture:
    """Query heads above, key/value heads below, and a line from each to what it uses.

    panels: a title and, for each query head, the number of its key/value head. Panels
    stand side by side. With at most four key/value heads, each has its own colour.
    """
    if not all(panels.values()):
        raise ValueError(f"each panel has at least 1 head, got {dict(panels)}")
    left, gap, top, down = 38.0, 14.0, 24.0, 92.0
    widest = max(len(used) for used in panels.values())
    pitch = min(34.0, ((WIDTH - left) / len(panels) - gap) / widest)
    side, middle = pitch - 3, top + (pitch - 3) / 2 + 4
    parts = [
        text(left - 8, middle, "Q", anchor="end", size=12),
        text(left - 8, middle + down, "K, V", anchor="end", size=12),
    ]
    said = []
    for number, (title, used) in enumerate(panels.items()):
        x0, kv_heads = left + number * (widest * pitch + gap), max(used) + 1
        colors = COLORS if kv_heads <= len(COLORS) else (BLUE,) * kv_heads
        parts.append(text(x0, 13, title, size=12))
        wide = len(used) * pitch / kv_heads
        for h, g in enumerate(used):
            x, x_kv = x0 + (h + 0.5) * pitch, x0 + (g + 0.5) * wide
            parts.append(
                f'<line x1="{x:.1f}" y1="{top + side:.1f}" x2="{x_kv:.1f}" '
                f'y2="{top + down:.1f}" stroke="{colors[g]}" stroke-width="1.5"/>'
            )
            parts.append(_square(x, top, side, colors[g], h))
        for g in range(kv_heads):
            x = x0 + (g + 0.5) * wide
            parts.append(_square(x, top + down, side, colors[g], g))
        users = {g: [h for h, k in enumerate(used) if k == g] for g in sorted({*used})}
        lists = (f"K/V head {g}: {', '.join(map(str, h))}" for g, h in users.items())
        said.append(f"{title}, query heads of {'; of '.join(lists)}")
    width = left + len(panels) * (widest * pitch + gap)
    alt = f"{caption} {'. '.join(said)}."
    return Picture("".join(parts), width, top + down + side + 4, caption, alt)


def _square(x: float, y: float, side: float, color: str, number: int) -> str:
    size = 12 if side > 20 else 10
    label = text(x, y + side / 2 + 4, str(number), anchor="middle", size=size)
    return rect(x - side / 2, y, side, side, color, 0.22, stroke=True) + label


def flow(steps: Sequence[Sequence[str]], caption: str) -> Picture:
    """What is computed from what, from top to bottom: boxes in lanes.

    steps: (lanes, line, line, ...), in the order of computation. `lanes` has a letter
    for each lane that the box covers, for example "qk"; an arrow enters it from the
    last box in each of them. The lanes stand in the order of their letters in the step
    that has the most.
    """
    order = max((lanes for lanes, *_ in steps), key=len)
    if strange := {*"".join(lanes for lanes, *_ in steps)} - {*order}:
        raise ValueError(f"lanes {sorted(strange)} are not among {order!r}")
    gap, arrow = 10.0, 20.0
    lane = (WIDTH - gap) / len(order)
    bottom = dict.fromkeys(order, 0.0)  # where the last box of a lane ends
    above, parts, said = {}, [], []  # above: the number of a lane's last box
    for number, (lanes, *lines) in enumerate(steps):
        columns = sorted(order.index(name) for name in lanes)
        x, width = columns[0] * lane + gap, (columns[-1] + 1 - columns[0]) * lane - gap
        sources = sorted({above[name] for name in lanes if name in above})
        y = max(bottom[name] for name in lanes) + (arrow if sources else 2)
        height = 16.0 * len(lines) + 8
        for source in sources:  # one arrow from each, in the middle of what it shares
            shared = [c for c in columns if above.get(order[c]) == source]
            center = (sum(shared) / len(shared) + 0.5) * lane + gap / 2
            parts.append(_arrow(center, bottom[order[shared[0]]], y))
        parts.append(rect(x, y, width, height, BLUE, 0.16, stroke=True))
        for i, line in enumerate(lines):
            row, size = y + 17 + 16 * i, 12 if i else 13
            parts.append(text(x + width / 2, row, line, anchor="middle", size=size))
        origin = " and ".join(steps[source][1] for source in sources)
        said.append(", ".join(lines) + (f", from {origin}" if origin else ""))
        above |= dict.fromkeys(lanes, number)
        bottom |= dict.fromkeys(lanes, y + height)
    height = max(bottom.values()) + 4
    return Picture(
        "".join(parts), WIDTH, height, caption, f"{caption} {'; '.join(said)}."
    )


def _arrow(x: float, start: float, end: float) -> str:
    return (
        f'<path d="M {x:.1f} {start:.1f} V {end - 1:.1f} m -4 -6 l 4 6 l 4 -6" '
        f'fill="none" stroke="currentColor" stroke-width="1.3"/>'
    )
