"""What "latency" recorded: the distribution of judge_hear's figure over many words, and the
processor time beside the engine's."""
import evidence
import judge_hear

SCENARIO = "latency"
TICKS_PER_S = 100  # of /proc/PID/task/TID/stat
CPU_SHARE_MAX = 0.03


def task_seconds(record):
    """{name of a thread: seconds of processor time}."""
    found = {}
    for line in record.lines("tasks"):
        fields = line.rsplit(")", 1)[1].split()
        name = line.split("(", 1)[1].rsplit(")", 1)[0]
        found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return found


def test_no_step_waits(record):
    found = judge_hear.latencies(record)
    assert len(found) >= 30 and min(found) > 0, found
    assert evidence.percentile(found, 0.99) <= judge_hear.LATENCY_MS_MAX, sorted(found)
    return (f"{len(found)} words, last sample to last byte: p50 "
            f"{evidence.percentile(found, 0.5):.1f} ms, p99 "
            f"{evidence.percentile(found, 0.99):.1f} ms")


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
