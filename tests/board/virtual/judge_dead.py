"""What "dead" recorded: a microphone of nothing but zeros is no healthy one."""
import evidence
from evidence import note_ms

SCENARIO = "dead"


def test_a_deaf_microphone_is_not_a_healthy_status(record):
    said = [(ns / 1e6 - note_ms(record, "silent"), text) for ns, text in record.log("earshot")
            if "one and the same number" in text]
    assert len(said) == 1 and 9000 < said[0][0] < 12000, record.lines("earshot")
    return f"told after {said[0][0] / 1000:.1f} s"


def test_the_led_is_not_stuck_on_listening(record):
    evidence.led_first_shows(record, "no-mic", note_ms(record, "silent") + 9000,
                             note_ms(record, "sound"))


def test_sound_ends_it(record):
    said = [ns / 1e6 for ns, text in record.log("earshot") if "gives sound again" in text]
    assert said and 0 < said[0] - note_ms(record, "sound") < 1500, record.lines("earshot")
