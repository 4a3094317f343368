# shellcheck shell=sh
# overrun - the whole process stands still for longer than the card's buffer lasts.

listen uart_format=jsonl
sleep 0.3
say commands_one_speaker.flac 2500
sleep 0.8
note stop
send STOP
sleep 1.5
send CONT
note continue
sleep 1
say commands_one_speaker.flac 2500
sleep 0.8
card last
finish
