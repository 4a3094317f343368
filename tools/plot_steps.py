"""Draws the step times of `earshot bench --times FILE` over the hours of audio, as an SVG.

    python3 tools/plot_steps.py times.txt steps.svg --title "4B, one H200"

FILE holds one frame per line, in order: milliseconds of wall time. Each minute of audio (750 frames
of 80 ms) becomes a median, the band between its 1st and 99th percentile, and its slowest frame.
Python's own library alone.
"""

import argparse
import html

FRAMES_PER_MINUTE = 750
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 420, 64, 16, 48, 48


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def by_minute(times):
    """[(minute, p01, p50, p99, max)]; a last minute of under ten seconds is left out."""
    rows = []
    for begin in range(0, len(times), FRAMES_PER_MINUTE):
        part = sorted(times[begin:begin + FRAMES_PER_MINUTE])
        if len(part) * 6 >= FRAMES_PER_MINUTE or not rows:
            rows.append((begin / FRAMES_PER_MINUTE, percentile(part, 0.01), percentile(part, 0.5), percentile(part, 0.99), part[-1]))
    return rows


def nice_step(span, count):
    """A step of 1, 2 or 5 times a power of ten that divides the span into about `count`."""
    step = 10.0 ** -6
    while True:
        for factor in (1, 2, 5):
            if span / (step * factor) <= count:
                return step * factor
        step *= 10


def draw(rows, title):
    minutes = max(rows[-1][0] + 1, 1)
    top = max(row[4] for row in rows) * 1.05

    def x(minute):
        return LEFT + (WIDTH - LEFT - RIGHT) * (minute + 0.5) / minutes

    def y(ms):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ms / top

    def line(values):
        return " ".join(f"{x(minute):.1f},{y(ms):.1f}" for minute, ms in values)

    band = [(row[0], row[3]) for row in rows] + [(row[0], row[1]) for row in reversed(rows)]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="20" font-size="15">{html.escape(title)}</text>']
    step = nice_step(top, 6)
    for index in range(int(top / step) + 1):
        ms = index * step
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(ms):.1f}" y2="{y(ms):.1f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 8}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms:g}</text>')
    step = nice_step(minutes, 12)
    for index in range(int(minutes / step) + 1):
        minute = index * step
        parts.append(f'<text x="{LEFT + (WIDTH - LEFT - RIGHT) * minute / minutes:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{minute:g}</text>')
    parts.append(f'<polygon points="{line(band)}" fill="#9cc3e6" stroke="none"/>')
    parts.append(f'<polyline points="{line([(row[0], row[2]) for row in rows])}" fill="none" stroke="#1f5f99" stroke-width="2"/>')
    parts.extend(f'<circle cx="{x(row[0]):.1f}" cy="{y(row[4]):.1f}" r="2" fill="#c0392b"/>' for row in rows)
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 10}" text-anchor="middle">minutes of audio</text>'
                 f'<text x="{LEFT}" y="38">ms per frame of 80 ms, by minute: median (line), 1st to 99th percentile (band), slowest (dots)</text></svg>')
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("times")
    parser.add_argument("svg")
    parser.add_argument("--title", default="Wall time of one frame")
    options = parser.parse_args()
    with open(options.times) as file:
        times = [float(line) for line in file if line.strip()]
    if not times:
        raise SystemExit(f"{options.times}: holds no times; write it with earshot bench --times")
    with open(options.svg, "w") as file:
        file.write(draw(by_minute(times), options.title))


if __name__ == "__main__":
    main()
