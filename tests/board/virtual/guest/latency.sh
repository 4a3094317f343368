# shellcheck shell=sh
# latency - three minutes of speech: how long text takes from the sound card to the UART. A
# recording begins wherever the one before it ended, so its words fall anywhere between two steps.

listen journal=/run/journal journal_mib=1
sleep 0.5
for round in 1 2 3 4; do
    note "round $round"
    for recording in commands_one_speaker commands_several_speakers digits_one_speaker \
        digits_several_speakers digits_unheard_voice other_words; do
        say $recording.flac
    done
done
sleep 0.8
card after
tasks
finish
earshot journal --format jsonl /run/journal >/log/journal 2>&1
