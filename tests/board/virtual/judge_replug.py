"""What "replug" recorded: a microphone that goes and comes back under another number."""
import re

import evidence
from evidence import note_ms

SCENARIO = "replug"
WORDS = ["off", "left", "yes"]


def states(record):
    """[(ms, state)] as the driver took them."""
    return [(ms, thing["text"]) for ms, thing in evidence.timed_objects(record, record.uart)
            if thing.get("event") == "state"]


def test_the_card_comes_back_under_another_number(record):
    def number(log):
        return next(int(line.split()[0]) for line in record.lines(log) if "[Mic " in line)
    assert number("cards_before") != number("cards_after"), record.logs


def test_a_replug_needs_no_restart(record):
    assert evidence.texts(evidence.objects(record.uart)) == WORDS + WORDS, record.uart
    told = [text for _, text in record.log("notify")]
    assert told.count("notify READY=1") == 1, told
    assert evidence.notes(record, "exit") == ["exit 0"], record.lines("notes")


def test_no_microphone_is_told_at_once(record):
    gone_ms = next(ms for ms, state in states(record) if state == "no-mic")
    assert gone_ms - note_ms(record, "unplug") < 1000, (gone_ms, note_ms(record, "unplug"))


def test_the_led_shows_no_microphone(record):
    gone_ms = next(ms for ms, state in states(record) if state == "no-mic")
    evidence.led_shows(record, "no-mic", gone_ms + 60, note_ms(record, "replug") - 40)


def test_it_listens_within_two_seconds_of_the_return(record):
    back_ms = next(ms for ms, state in states(record)
                   if state == "listening" and ms > note_ms(record, "replug"))
    ms = back_ms - note_ms(record, "replugged")
    assert ms <= 2000, ms
    evidence.led_shows(record, "listening", back_ms + 60, evidence.played(record, 1)[0] + 900)
    return f"{ms:.0f} ms of the guest's time"


def test_the_gap_is_told_with_its_bound(record):
    gap = evidence.events(evidence.objects(record.uart), "gap")[-1]["text"]
    match = re.match(r"([\d.]+) s not heard, give or take ([\d.]+): ", gap)
    away_s = (note_ms(record, "replugged") - note_ms(record, "unplug")) / 1000
    assert match and away_s - 0.6 <= float(match.group(1)) <= away_s + 2, (gap, away_s)
    return gap


def test_times_stay_true(record):
    found = evidence.words(evidence.objects(record.uart))
    bound_ms = evidence.WORD_MS
    for gap in evidence.events(evidence.objects(record.uart), "gap"):
        match = re.search(r"give or take ([\d.]+)", gap["text"])
        bound_ms += 1000 * float(match.group(1)) if match else 0
    first, second = [end_ms for text, _, end_ms in found if text == "off"]
    apart_ms = evidence.played(record, 1)[0] - evidence.played(record, 0)[0]
    assert abs(second - first - apart_ms) <= bound_ms, (first, second, apart_ms, bound_ms)
    return f"off by {second - first - apart_ms:+.0f} ms after {apart_ms / 1000:.1f} s"


def test_the_watchdog_is_told_on_without_a_microphone(record):
    alive = [ns / 1e6 for ns, text in record.log("notify") if text == "notify WATCHDOG=1"]
    away = [ms for ms in alive if note_ms(record, "unplugged") < ms < note_ms(record, "replug")]
    assert len(away) >= 2, alive
