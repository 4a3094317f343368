"""What the judges read from a record: words, events, notes, levels of lines, times of bytes.

Times are the guest's CLOCK_MONOTONIC, in ms unless the name says otherwise.
"""
import json
import re

STATE_LED, STEP_LED, MUTE_LINE = 0, 1, 2
# name: flashes, ms lit (and dark between two), ms from one group to the next; by board/led.h they
# begin at multiples of the period on the clock, so that the level is known at every moment.
PATTERNS = {
    "boot": (1, 100, 200),
    "loading": (1, 500, 1000),
    "listening": (1, 100, 2000),
    "hearing": (1, 300, 400),
    "muted": (2, 100, 2000),
    "lagging": (3, 100, 2000),
    "no-mic": (4, 100, 2000),
    "fault": (8, 100, 2000),
}
# The model says a word at a whole position: the same one, said twice, moves by less than two.
WORD_MS = 160
EDGE_MS = 45  # a control tick of 20, the sampling, and a busy processor between them


def note_ms(record, text, which=0):
    """When the scenario noted this."""
    times = [ns / 1e6 for ns, noted in record.log("notes") if noted == text]
    assert len(times) > which, f"the scenario never came to {text!r}: {record.lines('notes')}"
    return times[which]


def notes(record, start):
    return [text for _, text in record.log("notes") if text.startswith(start)]


def recordings(record):
    """[(name, ms at which its first sample left the card, its length in ms)]"""
    said = [re.match(r"(\d+) played (?:\S*/)?(\S+) (\d+)$", line)
            for line in record.lines("played")]
    assert said and all(said), f"nothing played: {record.lines('played')}"
    return [(match.group(2), int(match.group(1)) / 1e6, int(match.group(3)) / 16)
            for match in said]


def played(record, which=0):
    """(ms at which its first sample left the card, its length in ms)."""
    return recordings(record)[which][1:]


# -- the UART --------------------------------------------------------------------------------------


def objects(data):
    """The JSON objects of a jsonl stream; every line must be one, and the last one whole."""
    assert not data or data.endswith(b"\n"), f"a torn last line: {data[-80:]!r}"
    return [json.loads(line) for line in data.decode().splitlines()]


def whole_objects(data):
    """The JSON objects among lines of which some were torn, and hang on to the next one."""
    found = []
    for line in data.decode(errors="replace").splitlines():
        try:
            found.append(json.loads(line[max(line.rfind('{"'), 0):]))
        except ValueError:
            pass
    return found


def words(found):
    """[(text, start_ms, end_ms)], in recording time."""
    return [(thing["text"], thing["start_ms"], thing["end_ms"])
            for thing in found if "event" not in thing]


def texts(found):
    return [text for text, _, _ in words(found)]


def events(found, name):
    return [thing for thing in found if thing.get("event") == name]


def text_words(record):
    """[(word, bytes of the stream up to its end)] of a stream in the format "text"."""
    found, used = [], 0
    for line in record.uart.split(b"\n"):
        if not line.startswith(b"#"):
            stamp = re.match(rb"\[[\d:]+\] |", line)
            found += [(match.group().decode(), used + match.end())
                      for match in re.compile(rb"[^ \r]+").finditer(line, stamp.end())]
        used += len(line) + 1
    return found


# -- lines -----------------------------------------------------------------------------------------


def levels(record, line):
    """[(ms, 0 or 1)] at every change of this line."""
    changes = []
    for ns, text in record.log("lines"):
        level = int(text.removeprefix("lines "), 16) >> line & 1
        if not changes or changes[-1][1] != level:
            changes.append((ns / 1e6, level))
    return changes


def level_at(changes, ms):
    return next((level for at, level in reversed(changes) if at <= ms), 0)


def pattern_level(state, ms):
    count, flash_ms, period_ms = PATTERNS[state]
    slot = int(ms % period_ms // flash_ms)
    return int(slot % 2 == 0 and slot // 2 < count)


def is_edge(state, ms):
    return pattern_level(state, ms - EDGE_MS) != pattern_level(state, ms + EDGE_MS)


def led_shows(record, state, begin_ms, end_ms):
    """The state LED shows this state's pattern and no other's, from begin to end."""
    changes = levels(record, STATE_LED)
    for ms in range(int(begin_ms), int(end_ms), 5):
        if not is_edge(state, ms):
            assert level_at(changes, ms) == pattern_level(state, ms), (
                f"{ms} ms: the LED is {level_at(changes, ms)}, not as in {state}; changes there: "
                f"{[(round(at), level) for at, level in changes if abs(at - ms) < 1500]}")


def led_first_shows(record, state, begin_ms, end_ms, span_ms=2000):
    """When from begin on the LED first shows this pattern for a whole span."""
    for ms in range(int(begin_ms), int(end_ms), 20):
        try:
            led_shows(record, state, ms, ms + span_ms)
            return ms
        except AssertionError:
            pass
    seen = [(round(at), level) for at, level in levels(record, STATE_LED)
            if begin_ms < at < end_ms]
    raise AssertionError(f"never {state} from {begin_ms:.0f} to {end_ms:.0f} ms: {seen}")


def steps(record, begin_ms, end_ms):
    """Times at which the step LED changed: a decoder step each, as far as the tick can follow."""
    return [at for at, _ in levels(record, STEP_LED) if begin_ms < at < end_ms]


# -- time ------------------------------------------------------------------------------------------


def uart_times(record):
    """[(ms, total bytes that the kernel's driver has taken from earshot until then)]."""
    threads = set(record.lines("threads"))
    found, total = [], 0
    for line in record.lines("trace"):
        match = re.match(r"\s*\S+-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+): .* count=(\w+)", line)
        if match and match.group(1) in threads and match.group(3) == "taken":
            total += int(match.group(4), 16)
            found.append((float(match.group(2)) * 1e3, total))
    return found


def taken_ms(record, byte_count):
    """When the driver had taken so many bytes from earshot."""
    times = uart_times(record)
    assert times and times[-1][1] >= byte_count, (
        f"the kernel saw {times[-1][1] if times else 0} bytes go to the UART, not {byte_count}")
    return next(ms for ms, total in times if total >= byte_count)


def timed_objects(record, data):
    """[(ms at which its last byte was taken, object)] of a jsonl stream."""
    found, used = [], 0
    for line in data.split(b"\n")[:-1]:
        used += len(line) + 1
        found.append((taken_ms(record, used), json.loads(line)))
    return found


def card_start_ms(record, name):
    """When the first frame left the card that earshot captured from at this point."""
    lines = record.lines("card")
    at = next(i for i, line in enumerate(lines) if line.endswith(" " + name))
    trigger = next(line for line in lines[at:] if line.startswith("trigger_time"))
    return float(trigger.split(":")[1]) * 1e3


def percentile(values, share):
    """Of a list that is not empty; the smallest value that this share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
