# shellcheck shell=sh
# mute - the switch in the middle of a recording: what was said before comes out, nothing after it;
# when it is let go, words have their true times again.

listen uart_format=jsonl
sleep 0.3
say commands_one_speaker.flac 3700 &
voice=$!
# The second word ends at 2,224 ms and comes 480 ms later: it is inside of the delay.
sleep 2.45
note mute
pull 2 1
wait $voice
say digits_one_speaker.flac 2200
card muted
note unmute
pull 2 0
sleep 0.5
say commands_one_speaker.flac 3700
sleep 0.8
finish
