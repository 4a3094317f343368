"""What "overrun" recorded: a process that stood still for longer than the card's buffer lasts."""
import re

import evidence
from evidence import note_ms

SCENARIO = "overrun"
WORDS = ["off", "left"]
STOPPED_S, BUFFER_S = 1.5, 0.5


def gap(record):
    found = [thing["text"] for thing in evidence.events(evidence.objects(record.uart), "gap")
             if "overrun" in thing["text"]]
    assert len(found) == 1, record.uart
    return found[0]


def test_the_loss_is_told_as_exact(record):
    match = re.fullmatch(r"([\d.]+) s not heard: (.*)", gap(record))
    assert match, gap(record)
    assert STOPPED_S - BUFFER_S <= float(match.group(1)) <= STOPPED_S + 0.1, gap(record)
    return gap(record)


def test_recording_time_is_that_of_the_card(record):
    end = next(text for _, text in record.log("earshot") if " ms of recording" in text)
    recorded_ms = int(re.search(r"(\d+) ms of recording", end).group(1))
    elapsed_ms = note_ms(record, "terminate") - evidence.card_start_ms(record, "last")
    assert abs(recorded_ms - elapsed_ms) <= 80, (recorded_ms, elapsed_ms)
    return f"off by {recorded_ms - elapsed_ms:+.0f} ms at the end"


def test_capture_restarts_after_an_overrun(record):
    assert evidence.texts(evidence.objects(record.uart)) == WORDS + WORDS, record.uart
    assert "state: RUNNING" in record.lines("card"), record.lines("card")
    assert evidence.notes(record, "exit") == ["exit 0"], record.lines("notes")


def test_words_have_true_times_behind_it(record):
    found = evidence.words(evidence.objects(record.uart))
    first, second = [end_ms for text, _, end_ms in found if text == "off"]
    apart_ms = evidence.played(record, 1)[0] - evidence.played(record, 0)[0]
    assert abs(second - first - apart_ms) <= evidence.WORD_MS, (first, second, apart_ms)
    return f"off by {second - first - apart_ms:+.0f} ms"


def test_the_led_says_that_audio_was_lost(record):
    begin_ms = note_ms(record, "continue")
    evidence.led_first_shows(record, "lagging", begin_ms, begin_ms + 2000)


def test_the_log_says_so(record):
    said = "\n".join(text for _, text in record.log("earshot"))
    assert "overrun" in said, said
