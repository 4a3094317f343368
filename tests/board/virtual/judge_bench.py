"""What the scenario "bench" recorded: the test bench does what it says, arm64 computes right."""
import os
import re
import struct

SCENARIO = "bench"
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", "golden")
WORDS = ["off", "left", "yes", "no", "right", "up"]  # of commands_one_speaker.flac


def golden_ids(case):
    path = os.path.join(GOLDEN, "cases", case)
    with open(path + ".txt", encoding="ascii") as file:
        head = dict(line.split(" ", 1) for line in file.read().splitlines() if line.count(" ") == 1)
    with open(path + ".bin", "rb") as file:
        file.seek(int(head["ids"]))
        count = int(head["id_count"])
        return list(struct.unpack(f"<{count}I", file.read(4 * count)))


def test_the_outside_drives_an_input_line(record):
    assert record.lines("input_high") == ["1"], record.logs
    assert record.lines("input_low") == ["0"], record.logs


def test_the_outside_sees_the_level_that_the_guest_sees(record):
    asked = [text for _, text in record.log("asked") if "levels" in text]
    assert asked == ["asked levels: ok 0x00000001"], asked
    seen = [text for _, text in record.log("lines")]
    assert "lines 0x01" in seen and "lines 0x04" in seen, seen


def test_a_microphone_hears_what_is_said_into_it(record):
    assert record.lines("heard") == [" ".join(WORDS)], record.lines("heard")


def test_arm64_chooses_the_ids_that_transformers_chooses(record):
    for case in ("ring_blocks_6", "ring_jfk_30"):
        ids = [int(line) for line in record.lines(f"ids_{case}")]
        assert ids == golden_ids(case), (case, ids)


def test_a_stuck_uart_takes_a_few_kilobytes_and_loses_none(record):
    count = int(record.lines("filled")[0])
    assert 1024 <= count <= 16384, count
    sent = b"before\n" + b"." * count + b"after\n"
    assert record.uart == sent, (len(record.uart), count, record.uart[-20:])
    return f"{count} bytes"


def test_unplugging_is_felt_by_who_records(record):
    said = "\n".join(record.lines("arecord"))
    assert "No such device" in said, said
    assert record.lines("cards_gone") == ["--- no soundcards ---"], record.lines("cards_gone")


def test_a_card_that_returns_has_another_number(record):
    def number(log):
        return next(int(line.split()[0]) for line in record.lines(log) if "[Mic " in line)
    assert number("cards_before") != number("cards_back"), record.logs


def test_one_thread_alone_can_be_stopped(record):
    notes = {text: ns for ns, text in record.log("notes")}
    ticks = [int(line) for line in record.lines("ticks")]
    inside = [tick for tick in ticks if notes["freeze"] + 3e7 < tick < notes["thaw"] - 3e7]
    assert not inside and ticks[-1] > notes["thaw"] > ticks[0], (ticks, notes)


def test_an_overrun_happens(record):
    said = "\n".join(record.lines("overrun"))
    assert re.search(r"overrun!!! \(at least \d+\.\d+ ms long\)", said), said
