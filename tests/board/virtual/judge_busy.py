"""What "busy" recorded: another program held the microphone."""
import evidence
from evidence import note_ms

SCENARIO = "busy"


def test_the_holder_and_the_remedy_are_named(record):
    said = [text for _, text in record.log("earshot") if "arecord" in text]
    assert said and "pid" in said[0], record.lines("earshot")
    return said[0]


def test_it_is_ready_and_waits(record):
    ready_ms, free_ms = note_ms(record, "ready"), note_ms(record, "free")
    assert free_ms - ready_ms > 1500, (ready_ms, free_ms)
    evidence.led_shows(record, "no-mic", ready_ms + 300, note_ms(record, "still_held"))


def test_it_listens_within_two_seconds_of_the_release(record):
    free_ms = note_ms(record, "free")
    opened = [ns / 1e6 for ns, text in record.log("earshot") if " Hz, " in text]
    assert opened and 0 < opened[0] - free_ms <= 2000, (opened, free_ms)
    return f"{opened[0] - free_ms:.0f} ms of the guest's time"
