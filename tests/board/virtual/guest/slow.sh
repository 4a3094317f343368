# shellcheck shell=sh
# slow - an engine that stands still for longer than audio may wait.

listen model=/golden/models/ring uart_format=jsonl
(while :; do
    play hw:Mic,1 48000 2 /golden/audio/jfk.flac
done) >/dev/null 2>&1 &
voice=$!
sleep 2
note freeze
probe freeze "$(thread es-engine)" 12000
note thaw
sleep 6
finish
kill $voice
