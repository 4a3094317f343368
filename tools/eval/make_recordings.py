#!/usr/bin/env python3
"""Makes the recordings that are bundled with the bring-up model.

usage: make_recordings.py SPEECH_COMMANDS_FOLDER PROMPTS_FOLDER OUT_FOLDER [--seed N]

SPEECH_COMMANDS_FOLDER has a metadata.tsv (file, speaker, label, ...) and the clips; PROMPTS_FOLDER
is the voice of Asterisk's English prompts, usr/share/asterisk/sounds/en_US_f_Allison in Debian's
package asterisk-core-sounds-en-wav. Only speakers that the model was not trained on are heard (the
test split of tools/bringup/splits.py), and the seed alone decides which of them and which words:
the recordings are examples, not a selection. Needs numpy and soundfile (requirements.txt).
"""
import argparse
import os
import random

import clips

COMMANDS_SOURCE = "Speech Commands v0.02, CC BY 4.0; speakers "
PROMPTS_SOURCE = "Asterisk prompts, CC BY-SA 3.0; speaker "
WORDS_PER_RECORDING = 6


def by_speaker(pool):
    speakers = {}
    for clip in pool:
        speakers.setdefault(clip.speaker, []).append(clip)
    return speakers


def one_speaker(pool, rng):
    """One of the people who said enough different words of the pool."""
    speakers = by_speaker(pool)
    able = sorted(who for who, said in speakers.items()
                  if len({clip.label for clip in said}) >= WORDS_PER_RECORDING)
    said = speakers[rng.choice(able)]
    words = {}
    for clip in rng.sample(said, len(said)):
        words.setdefault(clip.label, clip)
    return [words[word] for word in rng.sample(sorted(words), WORDS_PER_RECORDING)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("prompts")
    parser.add_argument("out")
    parser.add_argument("--seed", default="2602")
    args = parser.parse_args()

    pool = clips.load_words(args.corpus, "test")
    of = {name: [clip for clip in pool if clip.label in words] for name, words in
          (("commands", clips.COMMANDS), ("digits", clips.DIGITS), ("others", clips.OTHERS))}
    rng = random.Random(f"recordings {args.seed}")
    count = WORDS_PER_RECORDING
    chosen = [
        ("commands_one_speaker", COMMANDS_SOURCE, one_speaker(of["commands"], rng)),
        ("commands_several_speakers", COMMANDS_SOURCE, rng.sample(of["commands"], count)),
        ("digits_one_speaker", COMMANDS_SOURCE, one_speaker(of["digits"], rng)),
        ("digits_several_speakers", COMMANDS_SOURCE, rng.sample(of["digits"], count)),
        ("other_words", COMMANDS_SOURCE, rng.sample(of["others"], count)),
        ("digits_unheard_voice", PROMPTS_SOURCE,
         rng.sample(clips.load_prompt_digits(args.prompts), count)),
    ]
    os.makedirs(args.out, exist_ok=True)
    table = []
    for name, source, group in chosen:
        stream = clips.concatenate(group, rng)
        clips.write(os.path.join(args.out, name + ".flac"), stream.samples)
        table.append((name + ".flac", " ".join(stream.words),
                      source + " ".join(stream.speakers),
                      " ".join(str(round(1000 * end)) for end in stream.ends)))
    clips.write_table(os.path.join(args.out, "recordings.tsv"),
                      ("file", "words", "speakers_licence", "end_ms"), table)


if __name__ == "__main__":
    main()
