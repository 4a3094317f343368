"""What "latency" recorded: the distribution of judge_hear's figure over many words, the same from
the end of each spoken word on, and the processor time beside the engine's."""
import os
import sys

import evidence
import judge_hear

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.append(os.path.join(ROOT, "tools", "eval"))
import eval as scoring  # noqa: E402  (what is spoken and when a word ends, and which word is which)

SCENARIO = "latency"
TICKS_PER_S = 100  # of /proc/PID/task/TID/stat
CPU_SHARE_MAX = 0.03
WORDS_MIN = 100
# Further off, a word was heard that somebody said elsewhere.
WORD_MS_MAX = 1000


def task_seconds(record):
    """{name of a thread: seconds of processor time}."""
    found = {}
    for line in record.lines("tasks"):
        fields = line.rsplit(")", 1)[1].split()
        name = line.split("(", 1)[1].rsplit(")", 1)[0]
        found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return found


def spoken():
    """{name of a bundled recording: (its words, ms at which each ends)}, as tools/eval reads it."""
    folder = os.path.join(ROOT, "models", "bringup", "recordings")
    return {os.path.basename(recording.path): (recording.words, recording.ends_ms)
            for recording in scoring.read_set(folder)}


def word_latencies(record):
    """Per word that was heard right, ms from its last sample on the card to its last byte in the
    driver, minus the delay; and how many words were spoken."""
    known, plays = spoken(), evidence.recordings(record)
    heard = [(text, evidence.taken_ms(record, used))
             for text, used in evidence.text_words(record)]
    found, count = [], 0
    for i, (name, begin_ms, length_ms) in enumerate(plays):
        words, ends_ms = known[name]
        first_ms = begin_ms + judge_hear.DELAY_MS
        next_ms = plays[i + 1][1] + judge_hear.DELAY_MS if i + 1 < len(plays) else float("inf")
        mine = [(text, ms) for text, ms in heard if first_ms <= ms < next_ms]
        steps = scoring.align(words, [text for text, _ in mine])
        found += [mine[theirs][1] - (first_ms + ends_ms[ours]) for kind, ours, theirs in steps
                  if kind == "="]
        count += len(words)
        assert ends_ms[-1] <= length_ms, (name, ends_ms, length_ms)
    return found, count


def test_no_step_waits(record):
    found = judge_hear.latencies(record)
    assert len(found) >= WORDS_MIN and min(found) > 0, found
    assert evidence.percentile(found, 0.99) <= judge_hear.LATENCY_MS_MAX, sorted(found)
    return (f"{len(found)} words, last sample to last byte: p50 "
            f"{evidence.percentile(found, 0.5):.1f} ms, p99 "
            f"{evidence.percentile(found, 0.99):.1f} ms")


def test_a_word_comes_when_the_delay_is_over(record):
    found, count = word_latencies(record)
    assert len(found) >= WORDS_MIN, (len(found), count)
    assert max(abs(ms) for ms in found) < WORD_MS_MAX, sorted(found)
    return (f"{len(found)} of {count} words, word's end to last byte, minus {judge_hear.DELAY_MS} "
            f"ms: p50 {evidence.percentile(found, 0.5):.0f} ms, p99 "
            f"{evidence.percentile(found, 0.99):.0f} ms, {min(found):.0f} to {max(found):.0f}")


def test_everything_beside_the_engine_takes_little(record):
    tasks = task_seconds(record)
    seconds = (evidence.note_ms(record, "terminate") - evidence.note_ms(record, "ready")) / 1000
    engine = sum(taken for name, taken in tasks.items() if name in ("es-engine", "es-worker"))
    assert engine > 0, tasks
    main = tasks["earshot"]
    beside = {name: taken for name, taken in tasks.items()
              if name not in ("es-engine", "es-worker", "earshot")}
    share = sum(beside.values()) / seconds
    assert share <= CPU_SHARE_MAX, (beside, seconds)
    return f"{100 * share:.1f} % of a core beside engine and main; main {main:.2f} s with the boot"
