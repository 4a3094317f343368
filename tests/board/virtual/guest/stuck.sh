# shellcheck shell=sh
# stuck - a console that takes nothing while words come, and then takes them all.

listen uart_format=jsonl
sleep 0.3
note stick
probe flow off "$UART"
probe fill "$UART" >/log/filled
say commands_one_speaker.flac 3700
sleep 0.6
note loosen
probe flow on "$UART"
sleep 0.5
say digits_one_speaker.flac 2500
sleep 0.8
finish
