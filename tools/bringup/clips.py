"""All clips of prepare.py in memory: one long int16 array, and a table of what lies where."""
import io
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

GAP = 8  # zeros between clips, so that interpolation never reads a neighbour


def decode(data):
    x, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    return np.clip(np.round(x * 32767), -32768, 32767).astype(np.int16)


def load(folder, jobs):
    """(samples int16, clips): every clip gets `at`, its first sample in the array, and `peak`."""
    index = json.loads((Path(folder) / "index.json").read_text())
    pack = (Path(folder) / "pack.bin").read_bytes()
    files = {(clip["offset"], clip["bytes"]) for clip in index}
    order = sorted(files)
    with ProcessPoolExecutor(jobs) as pool:
        audio = dict(zip(order, pool.map(decode, [pack[o:o + n] for o, n in order], chunksize=32)))
    parts, end = [np.zeros(GAP, np.int16)], GAP
    for clip in index:
        x = audio[clip["offset"], clip["bytes"]][clip["first"]:clip["first"] + clip["samples"]]
        clip.update(at=end, samples=len(x), peak=int(np.abs(x.astype(np.int32)).max(initial=1)))
        parts += [x, np.zeros(GAP, np.int16)]
        end += len(x) + GAP
    return np.concatenate(parts), index
