"""What "killed" recorded: SIGKILL, and a second process on the same card, lines and UART."""
import evidence
from evidence import note_ms

SCENARIO = "killed"


def test_it_was_killed_and_the_second_one_ends_well(record):
    assert evidence.notes(record, "exit") == ["exit 137", "exit 0"], record.lines("notes")


def test_a_dead_process_leaves_no_blinking_led(record):
    begin_ms, end_ms = note_ms(record, "exit 137"), note_ms(record, "start", 1)
    for line in (evidence.STATE_LED, evidence.STEP_LED):
        changes = [at for at, _ in evidence.levels(record, line) if begin_ms < at < end_ms]
        assert end_ms - begin_ms > 300 and not changes, (changes, begin_ms, end_ms)


def test_the_second_one_hears_everything(record):
    words = evidence.texts(evidence.whole_objects(record.uart))
    assert words[-3:] == ["off", "left", "yes"] and len(words) <= 4, words


def test_the_second_one_is_ready_as_fast(record):
    ms = note_ms(record, "ready", 1) - note_ms(record, "start", 1)
    assert ms <= 1000, ms
    return f"{ms:.0f} ms"


def test_the_second_one_shows_its_state(record):
    evidence.led_shows(record, "listening", note_ms(record, "ready", 1) + 200,
                       evidence.played(record, 1)[0] + 900)
