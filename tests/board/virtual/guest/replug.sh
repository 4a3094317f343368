# shellcheck shell=sh
# replug - the microphone goes while it is heard, and comes back under another number.

listen uart_format=jsonl
sleep 0.3
say commands_one_speaker.flac 3700
sleep 0.8
cat /proc/asound/cards >/log/cards_before
note unplug
unplug
note unplugged
sleep 5
note replug
replug
note replugged
cat /proc/asound/cards >/log/cards_after
sleep 2
ls /proc/asound/Mic/pcm0c/sub0 >/dev/null && cat /proc/asound/Mic/pcm0c/sub0/status >/log/status
say commands_one_speaker.flac 3700
sleep 0.8
finish
