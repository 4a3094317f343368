"""What "hear" recorded: a bundled recording's words out of the UART, and the lines beside it."""
import re

import evidence
from evidence import note_ms

SCENARIO = "hear"
WORDS = ["off", "left", "yes", "no", "right", "up"]
WORD_END_MS = [810, 2224, 3481, 4344, 5403, 6524]  # of commands_one_speaker.flac
DELAY_MS = 480
POSITION_MS = 80
WINDOW_MS = 2.5  # of the last mel frame beyond the position's end
LATENCY_MS_MAX = 60
BOOT_MS_MAX = 1000


def lines(record):
    return record.uart.decode("ascii").removesuffix("\r\n").split("\r\n")


def journal_words(record):
    """[(text, end_ms)] as `earshot journal` prints them."""
    found = evidence.objects("".join(line + "\n" for line in record.lines("journal")).encode())
    return [(text, end_ms) for text, _, end_ms in evidence.words(found)]


def first_word_ms(record):
    return evidence.played(record)[0] + WORD_END_MS[0] + DELAY_MS


def latencies(record):
    """Per word, ms from its step's last sample on the card to its last byte in the driver."""
    begin_ms = evidence.card_start_ms(record, "after")
    written, kept = evidence.text_words(record), journal_words(record)
    assert [text for text, _ in written] == [text for text, _ in kept], (written, kept)
    return [evidence.taken_ms(record, used) -
            (begin_ms + end_ms + DELAY_MS + POSITION_MS + WINDOW_MS)
            for (_, used), (_, end_ms) in zip(written, kept)]


def test_the_transcript_comes_out_of_the_uart_byte_for_byte(record):
    said = [line for line in lines(record) if not line.startswith("# ")]
    assert len(said) == 1, lines(record)
    assert re.fullmatch(r"\[00:00:0\d\] " + " ".join(WORDS), said[0]), said


def test_the_stamp_is_the_time_of_the_first_word(record):
    stamp = re.search(rb"\[00:00:(\d\d)\]", record.uart)
    spoken_ms = evidence.played(record)[0] - evidence.card_start_ms(record, "before")
    assert spoken_ms - 80 <= 1000 * int(stamp.group(1)) + 1000 and \
        1000 * int(stamp.group(1)) <= spoken_ms + WORD_END_MS[0] + 160, (stamp, spoken_ms)


def test_the_state_led_shows_loading_listening_and_hearing(record):
    ready = note_ms(record, "ready")
    start_ms = note_ms(record, "start")
    changes = [at for at, _ in evidence.levels(record, evidence.STATE_LED)]
    assert any(start_ms < at < ready for at in changes), changes
    evidence.led_shows(record, "listening", ready + 200, first_word_ms(record) - 200)
    evidence.led_shows(record, "hearing", first_word_ms(record) + 400,
                       first_word_ms(record) + 3000)


def test_the_step_led_moves_with_every_step(record):
    begin_ms, end_ms = note_ms(record, "ready") + 300, note_ms(record, "terminate")
    count = len(evidence.steps(record, begin_ms, end_ms))
    expected = (end_ms - begin_ms) / POSITION_MS
    assert 0.9 * expected <= count <= 1.1 * expected, (count, expected)


def test_leds_are_dark_after_the_end(record):
    _, last = record.log("lines")[-1]
    assert last == "lines 0x00", last


def test_the_service_manager_hears_ready_and_then_signs_of_life(record):
    told = record.log("notify")
    assert [text for _, text in told].count("notify READY=1") == 1, told
    alive = [ns / 1e6 for ns, text in told if text == "notify WATCHDOG=1"]
    alive = [note_ms(record, "ready"), *alive, note_ms(record, "terminate")]
    gaps = [after - before for before, after in zip(alive, alive[1:])]
    assert max(gaps) < 2000, gaps  # WATCHDOG_USEC of lib.sh
    assert told[-1][1] == "notify STOPPING=1", told[-1]


def test_status_lines_tell_the_rates(record):
    status = [text for _, text in record.log("notify") if "STATUS=" in text]
    rates = [re.search(r"([\d.]+) frames/s .* ([\d.]+) steps/s", text) for text in status[1:]]
    assert rates and all(rates), status
    for match in rates:
        assert 46000 < float(match.group(1)) < 50000, status
        assert 11 < float(match.group(2)) < 14, status


def test_it_listens_within_a_second_of_its_start(record):
    ms = note_ms(record, "ready") - note_ms(record, "start")
    assert ms <= BOOT_MS_MAX, ms
    return f"{ms:.0f} ms of the guest's time"


def test_sigterm_ends_it_within_a_second(record):
    ms = note_ms(record, "exit 0") - note_ms(record, "terminate")
    assert ms <= 1000, ms
    return f"{ms:.0f} ms"


def test_the_journal_has_the_same_words(record):
    assert [text for text, _ in journal_words(record)] == WORDS, record.lines("journal")


def test_words_have_the_times_at_which_they_were_spoken(record):
    spoken_ms = evidence.played(record)[0] - evidence.card_start_ms(record, "after")
    for (_, end_ms), expected_ms in zip(journal_words(record), WORD_END_MS):
        assert abs(end_ms - spoken_ms - expected_ms) <= 240, (end_ms - spoken_ms, expected_ms)


def test_no_step_waits(record):
    found = latencies(record)
    assert len(found) == len(WORDS) and min(found) > 0, found
    assert max(found) <= LATENCY_MS_MAX, found
    return (f"last sample to last byte: p50 {evidence.percentile(found, 0.5):.1f} ms, "
            f"max {max(found):.1f} ms")
