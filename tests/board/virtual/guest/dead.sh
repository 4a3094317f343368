# shellcheck shell=sh
# dead - a microphone that delivers nothing but zeros, as one with its own switch off does.

listen model=/golden/models/ring uart_format=jsonl
play hw:Mic,1 48000 2 /golden/audio/jfk.flac 1500 >>/log/played
note silent
sleep 14
note sound
play hw:Mic,1 48000 2 /golden/audio/jfk.flac 6000 >>/log/played
finish
