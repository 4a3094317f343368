# shellcheck shell=sh
# killed - SIGKILL in the middle of a word; the next process takes over card, lines and UART.

listen uart_format=jsonl
sleep 0.3
say commands_one_speaker.flac 1500 &
voice=$!
sleep 1
note kill
send KILL
gone
wait $voice
listen uart_format=jsonl
sleep 0.3
say commands_one_speaker.flac 3700
sleep 0.8
finish
