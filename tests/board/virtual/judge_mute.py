"""What "mute" recorded: the switch is the authority, the LED proves it, time goes on."""
import evidence
from evidence import note_ms

SCENARIO = "mute"


def spoken(record):
    """[(ms, word)] as the driver took them."""
    return [(ms, thing["text"]) for ms, thing in evidence.timed_objects(record, record.uart)
            if "event" not in thing]


def test_words_inside_the_delay_come_out_when_muted(record):
    mute_ms = note_ms(record, "mute")
    before = [(ms, text) for ms, text in spoken(record) if ms < note_ms(record, "unmute")]
    assert [text for _, text in before] == ["off", "left"], before
    assert before[-1][0] < mute_ms + 1000, (before, mute_ms)


def test_nothing_that_was_said_while_muted_comes_out(record):
    found = evidence.texts(evidence.objects(record.uart))
    assert found == ["off", "left", "off", "left", "yes"], found


def test_the_led_proves_it_for_as_long_as_it_lasts(record):
    evidence.led_shows(record, "muted", note_ms(record, "mute") + 60,
                       note_ms(record, "unmute") + 60)


def test_the_led_shows_muted_no_longer_than_that(record):
    changes = evidence.levels(record, evidence.MUTE_LINE)
    assert [level for _, level in changes] == [0, 1, 0], changes
    evidence.led_shows(record, "listening", note_ms(record, "unmute") + 200,
                       evidence.played(record, 2)[0] + 900)


def test_mute_does_not_break_capture(record):
    lines = record.lines("card")
    assert any(line == "state: RUNNING" for line in lines), lines
    avail = next(int(line.split(":")[1]) for line in lines if line.startswith("avail "))
    assert avail < 4800, lines  # 100 ms of what 500 would hold


def test_the_time_map_counts_the_silence(record):
    found = evidence.words(evidence.objects(record.uart))
    first, second = [end_ms for text, _, end_ms in found if text == "off"]
    apart_ms = evidence.played(record, 2)[0] - evidence.played(record, 0)[0]
    assert abs(second - first - apart_ms) <= evidence.WORD_MS, (first, second, apart_ms)


def test_the_stream_says_muted_and_how_long(record):
    found = evidence.objects(record.uart)
    said = [thing["text"] for thing in evidence.events(found, "state")]
    assert "muted" in said and said[-1] == "listening", said
    gap = evidence.events(found, "gap")[-1]["text"]
    muted_s = (note_ms(record, "unmute") - note_ms(record, "mute")) / 1000
    assert "mute" in gap and abs(float(gap.split()[0]) - muted_s) < 0.3, (gap, muted_s)


def test_the_end_is_clean(record):
    assert evidence.notes(record, "exit") == ["exit 0"], record.lines("notes")
