"""Which speakers the bring-up model learns from, which ones choose its recipe, and which ones only score it.

A speaker's split is a hash of the corpus and the name, so that it never depends on what else is in a folder. tools/eval
imports this too.
"""
import hashlib

SPLITS = ("train", "validation", "test")
FSDD_VALIDATION = {"yweweler"}  # of four voices three train and one chooses; none is left to score
FSDD_LEFT_OUT = {1: "nicolas", 2: "jackson", 3: "george"}  # so each final seed learns without one, and is scored on it


def split_of(corpus, row):
    """The split of one line of a corpus's metadata.tsv: 80, 10 and 10 percent of the speakers.

    Clips of noise have no speaker and go by their file; the long recordings of noise are few, and all of them train.
    """
    if corpus == "noise":
        return "train"
    if corpus == "fsdd":
        return "validation" if row["speaker"] in FSDD_VALIDATION else "train"
    name = row["file"] if row.get("label") == "_silence_" else row["speaker"]
    share = int(hashlib.sha256(f"{corpus}/{name}".encode()).hexdigest(), 16) % 10
    return {8: "validation", 9: "test"}.get(share, "train")
