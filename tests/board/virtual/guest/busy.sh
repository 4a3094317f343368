# shellcheck shell=sh
# busy - another program holds the microphone when earshot starts, and lets it go later.

arecord -q -D hw:Mic,0 -f S16_LE -c 2 -r 44100 -d 4 /tmp/held.wav &
holder=$!
sleep 0.2
listen model=/golden/models/ring uart_format=jsonl
sleep 2
note still_held
wait $holder
note free
sleep 2.5
play hw:Mic,1 48000 2 /golden/audio/jfk.flac 3000 >>/log/played
finish
