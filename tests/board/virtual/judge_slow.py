"""What "slow" recorded: an engine that stood still for twelve seconds while somebody talked."""
import re

import evidence
from evidence import note_ms

SCENARIO = "slow"
DROP_MS, KEEP_MS = 8000, 1000
LAG_MS = 1000


def test_a_slow_board_does_not_drop_audio_silently(record):
    told = [thing["text"] for thing in evidence.events(evidence.objects(record.uart), "gap")
            if "too slow" in thing["text"]]
    stood_ms = note_ms(record, "thaw") - note_ms(record, "freeze")
    assert len(told) == 1 and stood_ms > DROP_MS, (told, stood_ms)
    dropped_ms = 1000 * float(told[0].split()[0])
    assert abs(dropped_ms - (stood_ms - KEEP_MS)) < 200, (told, stood_ms)
    assert any("too slow" in text for _, text in record.log("earshot")), record.lines("earshot")
    return told[0]


def test_the_watchdog_hears_nothing_of_a_stalled_engine(record):
    alive = [ns / 1e6 for ns, text in record.log("notify") if text == "notify WATCHDOG=1"]
    begin_ms, end_ms = note_ms(record, "freeze") + 2500, note_ms(record, "thaw") - 100
    assert not [ms for ms in alive if begin_ms < ms < end_ms], alive
    assert [ms for ms in alive if ms > end_ms], alive


def test_the_led_shows_that_audio_waits_and_a_fault_from_the_word_to_the_watchdog_on(record):
    freeze_ms, thaw_ms = note_ms(record, "freeze"), note_ms(record, "thaw")
    fault_ms = next(ms for ms, thing in evidence.timed_objects(record, record.uart)
                    if thing.get("event") == "stall")
    assert freeze_ms + 4000 < fault_ms < freeze_ms + 6000, (freeze_ms, fault_ms)
    evidence.led_shows(record, "lagging", freeze_ms + LAG_MS + 300, fault_ms - 60)
    evidence.led_shows(record, "fault", fault_ms + 60, thaw_ms - 60)


def test_the_log_says_what_stood_still_and_that_it_goes_on(record):
    moving = [thing for thing in evidence.objects(record.uart)
              if thing.get("event") in ("stall", "moving")]
    assert [thing["event"] for thing in moving] == ["stall", "moving"], moving
    assert re.search("engine|step", moving[0]["text"]), moving
