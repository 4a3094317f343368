"""What "stuck" recorded: a console that took nothing for seconds, and an engine that never knew."""
import evidence
from evidence import note_ms

SCENARIO = "stuck"


def without_dots(record):
    """What earshot wrote: the dots that stuffed the line are the scenario's."""
    count = int(record.lines("filled")[0])
    assert record.uart.count(b".") >= count > 1000, (record.uart.count(b"."), count)
    before, _, after = record.uart.partition(b"." * count)
    return before + after


def test_the_engine_is_not_delayed(record):
    begin_ms, end_ms = note_ms(record, "stick"), note_ms(record, "loosen")
    count = len(evidence.steps(record, begin_ms, end_ms))
    expected = (end_ms - begin_ms) / 80
    assert 0.9 * expected <= count <= 1.1 * expected, (count, expected)


def test_every_byte_comes_when_the_line_is_free(record):
    found = evidence.objects(without_dots(record))
    assert evidence.texts(found) == ["off", "left", "yes", "two", "six"], found
    assert not evidence.events(found, "lost"), found


def test_the_log_says_that_it_is_stuck_and_that_it_flows_again(record):
    said = [(ns / 1e6, text) for ns, text in record.log("earshot") if "uart:" in text]
    stuck_ms = next(ms for ms, text in said if "takes nothing" in text)
    flows_ms = next(ms for ms, text in said if "flows again" in text)
    assert note_ms(record, "stick") < stuck_ms < note_ms(record, "loosen") < flows_ms, said


def test_the_watchdog_is_told_on(record):
    alive = [ns / 1e6 for ns, text in record.log("notify") if text == "notify WATCHDOG=1"]
    during = [ms for ms in alive if note_ms(record, "stick") < ms < note_ms(record, "loosen")]
    assert len(during) >= 2, alive


def test_the_end_is_clean(record):
    assert evidence.notes(record, "exit") == ["exit 0"], record.lines("notes")
