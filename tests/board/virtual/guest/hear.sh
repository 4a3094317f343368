# shellcheck shell=sh
# hear - a recording into the microphone, its words out of the UART, the state on the LEDs.

listen journal=/run/journal journal_mib=1
sleep 0.5
card before
probe ask levels >>/log/asked
say commands_one_speaker.flac
sleep 0.8
card after
process status
process stat
finish
earshot journal --format jsonl /run/journal >/log/journal 2>&1
