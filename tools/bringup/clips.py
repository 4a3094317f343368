"""All clips of prepare.py in memory: one long int16 array, and a table of what lies where."""
import io
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
GAP = 8  # zeros between clips, so that interpolation never reads a neighbour


def decode(data):
    x, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    return np.clip(np.round(x * 32767), -32768, 32767).astype(np.int16)


def onsets(x):
    """Samples at which speech starts: the beginning, and wherever it was quiet for 150 ms before.

    A model that never hears how a sentence starts takes its first syllables, with silence before them, for a word.
    """
    hop = RATE // 100
    frames = len(x) // hop
    if frames < 20:
        return [0]
    power = (x[:frames * hop].astype(np.float64).reshape(frames, hop) ** 2).mean(1)
    level = 10 * np.log10(power + 1)
    floor, peak = np.percentile(level, 5), np.percentile(level, 95)
    loud = level > floor + 0.4 * (peak - floor)
    starts = [i for i in np.flatnonzero(loud) if not loud[max(0, i - 15):i].any()]
    return [max(0, int(i) * hop - RATE // 25) for i in starts] or [0]


def load(folder, jobs):
    """(samples int16, clips): every clip gets `at`, its first sample in the array, `peak`, and speech its `onsets`.

    What was decoded stays beside the pack, for the other runs on the same machine.
    """
    folder = Path(folder)
    index = json.loads((folder / "index.json").read_text())
    end = GAP
    for clip in index:
        clip["at"] = end
        end += clip["samples"] + GAP
    kept, table = folder / "samples.npy", folder / "loaded.json"
    newest = max((folder / name).stat().st_mtime for name in ("index.json", "pack.bin"))
    if table.exists() and table.stat().st_mtime > newest:
        return np.load(kept, mmap_mode="c"), json.loads(table.read_text())
    pack = (folder / "pack.bin").read_bytes()
    order = sorted({(clip["offset"], clip["bytes"]) for clip in index})
    with ProcessPoolExecutor(jobs) as pool:
        audio = dict(zip(order, pool.map(decode, [pack[o:o + n] for o, n in order], chunksize=32)))
    parts = [np.zeros(GAP, np.int16)]
    for clip in index:
        x = audio[clip["offset"], clip["bytes"]][clip["first"]:clip["first"] + clip["samples"]]
        x = np.pad(x, (0, clip["samples"] - len(x)))
        clip["peak"] = int(np.abs(x.astype(np.int32)).max(initial=1))
        if clip["kind"] == "speech":
            clip["onsets"] = onsets(x)
        parts += [x, np.zeros(GAP, np.int16)]
    samples = np.concatenate(parts)
    np.save(kept, samples)
    half_written = table.with_suffix(".part")
    half_written.write_text(json.dumps(index))
    half_written.replace(table)  # last: its presence says that both are whole
    return samples, index
