#!/usr/bin/env python3
"""Scores a model on recordings with known words, through earshot itself.

usage: eval.py [--earshot PROGRAM] [--model DIR] [--delay-ms N[,N...]] [--paired] [--json]
               FOLDER...

Each FOLDER is one set: recordings, and a table reference.tsv (or recordings.tsv, metadata.tsv) with
a header line and these columns, of which the first two are required:

  file      path of the recording, relative to the folder
  words     what is spoken (also: transcript); empty for a recording that should give no word
  end_ms    when each word ends, in ms, one number per word
  spoken    for recordings without words: text that is spoken but not asked for

Text is compared word by word after lower-casing (casefold), replacing hyphens by spaces and
removing everything that is neither a letter, a digit nor an apostrophe inside a word; numbers are
not spelt out. Word error rate = (substitutions + deletions + insertions) / words of the reference
along a cheapest alignment. Its 95 % interval is a bootstrap over recordings (percentiles of
resampled sets, seeded). --paired adds the difference of that rate between each two delays, its
interval a bootstrap that draws the same recordings at both. Timing compares `end_ms` of the words
that were right. False words per hour have an exact Poisson interval. The real-time factor is
wall time of the whole program, start and loading of the model included, by length of the
recordings.

Exit codes: 0 scored, 1 earshot failed, 2 usage, 3 a reference that cannot be used.
Python's standard library only.
"""
import argparse
import csv
import json
import math
import os
import random
import shlex
import subprocess
import sys
import time
import unicodedata

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLES = ("reference.tsv", "recordings.tsv", "metadata.tsv")
TIMING_TOLERANCE_MS = 160
RESAMPLE_COUNT = 2000


class EvalError(Exception):
    def __init__(self, exit_code, text):
        super().__init__(text)
        self.exit_code = exit_code


# -- references ------------------------------------------------------------------------------------

class Recording:
    def __init__(self, path, words, ends_ms, spoken):
        self.path, self.words, self.ends_ms, self.spoken = path, words, ends_ms, spoken


def normalise(text):
    """The words of a text, as they are compared."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    kept = []
    for character in text:
        if character == "'" or unicodedata.category(character)[0] in "LMN":
            kept.append(character)
        elif character.isspace() or unicodedata.category(character) == "Pd":
            kept.append(" ")
    return [word.strip("'") for word in "".join(kept).split() if word.strip("'")]


def read_set(folder):
    table = next((os.path.join(folder, name) for name in TABLES
                  if os.path.exists(os.path.join(folder, name))), None)
    if table is None:
        raise EvalError(3, f"{folder}: has no reference.tsv; see eval.py --help for its columns")
    recordings = []
    with open(table, newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines, delimiter="\t")
        columns = reader.fieldnames or []
        text_column = next((name for name in ("words", "transcript") if name in columns), None)
        if "file" not in columns or text_column is None:
            raise EvalError(3, f"{table}: has columns {', '.join(columns) or 'none'}; "
                               "needs `file` and `words`, named in its first line")
        for row in reader:
            path = os.path.join(folder, row["file"])
            where = f"{table}: line {reader.line_num}"
            if not os.path.isfile(path):
                raise EvalError(3, f"{where}: {path} does not exist")
            words = normalise(row[text_column] or "")
            try:
                ends = [float(end) for end in (row.get("end_ms") or "").split()]
            except ValueError as error:
                raise EvalError(3, f"{where}: {error}") from None
            if ends and len(ends) != len(words):
                raise EvalError(3, f"{where}: {len(words)} words but {len(ends)} end times")
            recordings.append(Recording(path, words, ends or None,
                                        set(normalise(row.get("spoken") or ""))))
    if not recordings:
        raise EvalError(3, f"{table}: lists no recording")
    return recordings


# -- what earshot hears ----------------------------------------------------------------------------

class Heard:
    def __init__(self, words, ends_ms, audio_seconds, wall_seconds):
        self.words, self.ends_ms = words, ends_ms
        self.audio_seconds, self.wall_seconds = audio_seconds, wall_seconds


def transcribe(program, model, delay_ms, path):
    command = [program, "transcribe", "--model", model, "--delay-ms", str(delay_ms),
               "--format", "jsonl", path]
    begin = time.monotonic()
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise EvalError(1, f"{program}: {error.strerror}; build it, or name it with --earshot") \
            from None
    wall_seconds = time.monotonic() - begin
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise EvalError(1, f"{shlex.join(command)}: exit code {done.returncode}: "
                           f"{said[-1] if said else 'no message'}")
    words, ends, audio_seconds = [], [], None
    try:
        for line in done.stdout.decode("utf-8").splitlines():
            item = json.loads(line)
            if item.get("event") == "end":
                audio_seconds = item["audio_ms"] / 1000
            elif "event" not in item:
                for word in normalise(item["text"]):
                    words.append(word)
                    ends.append(float(item["end_ms"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvalError(1, f"{shlex.join(command)}: its output is not the jsonl format: "
                           f"{error!r}") from None
    if audio_seconds is None:
        raise EvalError(1, f"{shlex.join(command)}: its output has no end event")
    return Heard(words, ends, audio_seconds, wall_seconds)


# -- arithmetic ------------------------------------------------------------------------------------

def align(reference, heard):
    """A cheapest alignment: list of ('=' | 'S' | 'D' | 'I', reference index, heard index).

    Among equally cheap ones, seen from the end: a pair before a deletion before an insertion."""
    rows, columns = len(reference), len(heard)
    cost = [list(range(columns + 1))]
    for i in range(1, rows + 1):
        above, row = cost[-1], [i]
        for j in range(1, columns + 1):
            row.append(min(above[j - 1] + (reference[i - 1] != heard[j - 1]), above[j] + 1,
                           row[j - 1] + 1))
        cost.append(row)
    i, j, steps = rows, columns, []
    while i or j:
        differs = 1 if i and j and reference[i - 1] != heard[j - 1] else 0
        if i and j and cost[i][j] == cost[i - 1][j - 1] + differs:
            i, j = i - 1, j - 1
            steps.append(("S" if differs else "=", i, j))
        elif i and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
            steps.append(("D", i, None))
        else:
            j -= 1
            steps.append(("I", None, j))
    return steps[::-1]


def percentile(values, share):
    """Nearest rank: the smallest value with at least `share` of all values at or below it."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def bootstrap_interval(errors, words, seed):
    """95 % interval of sum(errors) / sum(words) when recordings are drawn anew; None below two."""
    if len(errors) < 2:
        return None
    rng, rates = random.Random(f"bootstrap {seed}"), []
    for _ in range(RESAMPLE_COUNT):
        drawn = rng.choices(range(len(errors)), k=len(errors))
        total = sum(words[i] for i in drawn)
        if total:
            rates.append(sum(errors[i] for i in drawn) / total)
    return percentile(rates, 0.025), percentile(rates, 0.975)


def paired_interval(before, after, words, seed):
    """95 % interval of (sum(after) - sum(before)) / sum(words), each recording drawn with both."""
    return bootstrap_interval([b - a for a, b in zip(before, after)], words, seed)


def poisson_interval(count):
    """Exact 95 % interval of a Poisson mean after `count` events (Garwood)."""
    def at_most(events, mean):
        return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
                         for k in range(events + 1))

    def solve(events, probability):
        low, high = 0.0, 2.0 * events + 20.0
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(events, middle) > probability else (low, middle)
        return (low + high) / 2

    return solve(count - 1, 0.975) if count else 0.0, solve(count, 0.025)


# -- scoring ---------------------------------------------------------------------------------------

def score_words(recordings, heard, seed):
    counts = {"=": 0, "S": 0, "D": 0, "I": 0}
    errors, lengths, offsets, confusions, right = [], [], [], {}, 0
    for recording, answer in zip(recordings, heard):
        steps = align(recording.words, answer.words)
        wrong = sum(step[0] != "=" for step in steps)
        errors.append(wrong)
        lengths.append(len(recording.words))
        right += wrong == 0
        for kind, i, j in steps:
            counts[kind] += 1
            if kind == "=" and recording.ends_ms:
                offsets.append(answer.ends_ms[j] - recording.ends_ms[i])
            elif kind != "=":
                pair = (recording.words[i] if i is not None else "-",
                        answer.words[j] if j is not None else "-")
                confusions[pair] = confusions.get(pair, 0) + 1
    result = {
        "words": sum(lengths), "word_error_rate": sum(errors) / sum(lengths),
        "interval": bootstrap_interval(errors, lengths, seed),
        "substitutions": counts["S"], "deletions": counts["D"], "insertions": counts["I"],
        "streams_right": right,
        "recording_errors": errors, "recording_words": lengths,
        "confusions": [[a, b, n] for (a, b), n in
                       sorted(confusions.items(), key=lambda item: (-item[1], item[0]))],
    }
    if offsets:
        distances = [abs(offset) for offset in offsets]
        result["timing"] = {
            "word_count": len(offsets), "mean_offset_ms": math.fsum(offsets) / len(offsets),
            "median_ms": percentile(distances, 0.5), "p90_ms": percentile(distances, 0.9),
            "within_share": sum(d <= TIMING_TOLERANCE_MS for d in distances) / len(distances),
        }
    return result


def score_silence(recordings, heard, hours):
    words = [(word, word in recording.spoken)
             for recording, answer in zip(recordings, heard) for word in answer.words]
    kinds = {}
    for word, _ in words:
        kinds[word] = kinds.get(word, 0) + 1
    unspoken = sum(not spoken for _, spoken in words)
    low, high = poisson_interval(len(words))
    result = {"false_words": len(words), "per_hour": len(words) / hours,
              "per_hour_interval": (low / hours, high / hours),
              "false_word_counts": dict(sorted(kinds.items(), key=lambda item: -item[1]))}
    if any(recording.spoken for recording in recordings):
        result["per_hour_not_spoken"] = unspoken / hours
    return result


def score_set(folder, recordings, heard, delay_ms, seed):
    seconds = math.fsum(answer.audio_seconds for answer in heard)
    result = {
        "set": os.path.basename(os.path.normpath(folder)), "delay_ms": delay_ms,
        "recordings": len(recordings), "seconds": seconds,
        "real_time_factor": math.fsum(answer.wall_seconds for answer in heard) / seconds,
    }
    if any(recording.words for recording in recordings):
        result.update(score_words(recordings, heard, seed))
    else:
        result.update(score_silence(recordings, heard, seconds / 3600))
    return result


def compare_delays(results, seed):
    """Each set at each two delays, the shorter one first."""
    scored = [result for result in results if "recording_errors" in result]
    return [{
        "set": a["set"], "delay_ms": [a["delay_ms"], b["delay_ms"]],
        "difference": b["word_error_rate"] - a["word_error_rate"],
        "interval": paired_interval(a["recording_errors"], b["recording_errors"],
                                    a["recording_words"], seed),
    } for a in scored for b in scored if a["set"] == b["set"] and a["delay_ms"] < b["delay_ms"]]


# -- reports ---------------------------------------------------------------------------------------

def percent(share, digits=1):
    return f"{100 * share:.{digits}f}"


def words_row(result):
    interval = result["interval"]
    timing = result.get("timing")
    return [
        result["set"], f"{result['delay_ms']}", f"{result['recordings']}",
        f"{result['seconds'] / 60:.1f}", f"{result['words']}",
        f"**{percent(result['word_error_rate'])}**",
        f"{percent(interval[0])} to {percent(interval[1])}" if interval else "-",
        f"{result['substitutions']} / {result['deletions']} / {result['insertions']}",
        f"{result['streams_right']} / {result['recordings']}",
        f"{timing['median_ms']:.0f} / {timing['p90_ms']:.0f}" if timing else "-",
        percent(timing["within_share"]) if timing else "-",
        f"{result['real_time_factor']:.3f}",
    ]


def silence_row(result):
    low, high = result["per_hour_interval"]
    not_spoken = result.get("per_hour_not_spoken")
    most = list(result["false_word_counts"].items())[:4]
    return [
        result["set"], f"{result['delay_ms']}", f"{result['recordings']}",
        f"{result['seconds'] / 60:.1f}", f"{result['false_words']}",
        f"**{result['per_hour']:.0f}**", f"{low:.0f} to {high:.0f}",
        "-" if not_spoken is None else f"{not_spoken:.0f}",
        ", ".join(f"{word} {count}" for word, count in most) or "-",
        f"{result['real_time_factor']:.3f}",
    ]


WORDS_HEADER = ["set", "delay ms", "recordings", "minutes", "words", "WER %", "95 % interval",
                "S / D / I", "whole right", "timing median / p90 ms",
                f"within {TIMING_TOLERANCE_MS} ms %", "real-time factor"]
PAIRED_HEADER = ["set", "delay ms", "against", "difference of WER, points", "95 % interval"]
SILENCE_HEADER = ["set without words", "delay ms", "recordings", "minutes", "false words",
                  "per hour", "95 % interval", "per hour, not counting spoken words", "most often",
                  "real-time factor"]


def paired_row(pair):
    low, high = pair["interval"] or (math.nan, math.nan)
    return [pair["set"], f"{pair['delay_ms'][1]}", f"{pair['delay_ms'][0]}",
            f"{100 * pair['difference']:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}"]


def markdown(results):
    lines = []
    for header, kind, row in ((WORDS_HEADER, "words", words_row),
                              (PAIRED_HEADER, "difference", paired_row),
                              (SILENCE_HEADER, "false_words", silence_row)):
        chosen = [row(result) for result in results if kind in result]
        if chosen:
            lines += ["| " + " | ".join(cells) + " |"
                      for cells in [header, ["---"] * len(header)] + chosen]
            lines.append("")
    return "\n".join(lines)


def write_transcripts(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        out.write("set\tdelay_ms\tfile\tsaid\theard\n")
        for row in rows:
            out.write("\t".join(row) + "\n")


def delays(text):
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of milliseconds") from None


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--earshot", default=os.path.join(ROOT, "build", "release", "earshot"))
    parser.add_argument("--model", default=os.path.join(ROOT, "models", "bringup"))
    parser.add_argument("--delay-ms", type=delays, default=[480])
    parser.add_argument("--seed", type=int, default=2602, help="of the bootstrap")
    parser.add_argument("--paired", action="store_true", help="compare each two delays")
    parser.add_argument("--transcripts", metavar="FILE", help="write what was said and heard")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def run(args):
    sets = [(folder, read_set(folder)) for folder in args.folders]
    results, transcripts = [], []
    for folder, recordings in sets:
        for delay_ms in args.delay_ms:
            heard = []
            for index, recording in enumerate(recordings):
                if sys.stderr.isatty():
                    print(f"\r\033[K{folder} at {delay_ms} ms: {index + 1} of {len(recordings)}",
                          end="", file=sys.stderr)
                heard.append(transcribe(args.earshot, args.model, delay_ms, recording.path))
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr)
            results.append(score_set(folder, recordings, heard, delay_ms, args.seed))
            transcripts += [(results[-1]["set"], str(delay_ms), os.path.basename(recording.path),
                             " ".join(recording.words), " ".join(answer.words))
                            for recording, answer in zip(recordings, heard)]
    if args.transcripts:
        write_transcripts(args.transcripts, transcripts)
    pairs = compare_delays(results, args.seed) if args.paired else []
    if args.json:
        print(json.dumps({"model": args.model, "seed": args.seed, "sets": results,
                          "paired": pairs}, indent=1))
    else:
        print(markdown(results + pairs), end="")


def main(arguments=None):
    args = parse(arguments)
    try:
        run(args)
    except EvalError as error:
        print(f"eval.py: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"eval.py: {error.filename}: {error.strerror}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
