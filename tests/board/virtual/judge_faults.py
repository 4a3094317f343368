"""What "faults" recorded: one process, a hundred and twenty faults of the kernel's own devices, and
not one that is silent."""
import re

import evidence
from evidence import note_ms

SCENARIO = "faults"
FAULTS_MIN = 100
FIRST_MINUTE_ROUNDS = 5
# What each must leave in the transcript, once; the others must leave no gap at all.
GAP_CAUSES = {"stopped": "overrun", "capture_frozen": "overrun", "unplugged": "no microphone"}
END_MS = 300  # between the first note and the first sample, the last sample and the last note


def injected(record):
    """[kind]"""
    return [text.removeprefix("fault ") for text in evidence.notes(record, "fault ")]


def gaps(found):
    return [thing["text"] for thing in evidence.events(found, "gap")]


def journal(record):
    """The objects that `earshot journal` prints, their stamps included."""
    return evidence.objects("".join(
        line + "\n" for line in record.lines("journal") if line.startswith("{")).encode())


def console(record):
    """The objects of the UART; a device that was torn out cuts a line."""
    return evidence.whole_objects(record.uart)


def test_at_least_a_hundred_faults_were_injected(record):
    kinds = injected(record)
    assert len(kinds) >= FAULTS_MIN, len(kinds)
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def test_one_process_lived_through_all_of_them(record):
    told = [text for _, text in record.log("notify")]
    assert told.count("notify READY=1") == 1, told
    assert evidence.notes(record, "exit") == ["exit 0"], evidence.notes(record, "exit")


def test_every_loss_of_samples_is_told_and_no_other(record):
    kinds = injected(record)
    told = gaps(journal(record))
    for cause in set(GAP_CAUSES.values()):
        wanted = sum(kinds.count(kind) for kind, its in GAP_CAUSES.items() if its == cause)
        count = sum(cause in text for text in told)
        assert count == wanted, (cause, count, wanted, told)
    others = [text for text in told
              if not any(cause in text for cause in GAP_CAUSES.values()) and "mute" not in text]
    assert not others, others


def test_recording_time_and_the_clock_agree_within_the_bounds_that_were_told(record):
    end = next(text for _, text in record.log("earshot") if " ms of recording" in text)
    recorded_ms = int(re.search(r"(\d+) ms of recording", end).group(1))
    elapsed_ms = note_ms(record, "terminate") - note_ms(record, "ready")
    bounds = [re.search(r"give or take ([\d.]+)", text) for text in gaps(journal(record))]
    bound_ms = END_MS + sum(1000 * float(bound.group(1)) for bound in bounds if bound)
    assert abs(recorded_ms - elapsed_ms) <= bound_ms, (recorded_ms, elapsed_ms, bound_ms)
    return f"{elapsed_ms / 1000:.1f} s, off by {recorded_ms - elapsed_ms:+.0f} ms"


def test_every_jump_of_the_clock_is_told(record):
    jumps = [thing["text"] for thing in evidence.events(journal(record), "clock")
             if "was set by" in thing["text"]]
    assert len(jumps) == injected(record).count("clock_set"), jumps


def test_what_the_console_lacks_it_says(record):
    kept = [thing["text"] for thing in journal(record) if "event" not in thing]
    came = evidence.texts(console(record))
    lost = [int(re.search(r"lost (\d+) bytes", thing["text"]).group(1))
            for thing in evidence.events(console(record), "lost")]
    missing = len(kept) - len(came)
    assert missing >= 0 and (missing == 0 or sum(lost) > 0), (len(kept), len(came), lost)
    assert sum(map(len, kept)) - sum(map(len, came)) <= sum(lost), (lost, missing)
    back = evidence.events(console(record), "console")
    assert len(back) == injected(record).count("uart_gone"), back
    return f"{len(came)} of {len(kept)} words; {len(lost)} losses told, {sum(lost)} bytes"


def test_memory_does_not_creep(record):
    resident = [int(line.split()[1]) for number in range(1, 100)
                for line in record.lines(f"status_{number}") if line.startswith("VmRSS")]
    first_minute = resident[:FIRST_MINUTE_ROUNDS]
    assert len(resident) > FIRST_MINUTE_ROUNDS and max(resident) <= first_minute[-1], resident
    return f"{first_minute[-1]} kB after the first minute, {resident[-1]} kB at the end"
