# shellcheck shell=sh
# bench - the test bench itself: what it claims to do to a board, it does; and arm64 counts right.

note began

# lines, from both sides
pull 2 1
gpioget 9030000.pl061 2 >/log/input_high
pull 2 0
gpioget 9030000.pl061 2 >/log/input_low
gpioset --mode=time --usec=300000 9030000.pl061 0=1 &
setter=$!
sleep 0.1
probe ask levels >>/log/asked
wait $setter

# sound
arecord -q -D hw:Mic,0 -f S16_LE -c 2 -r 48000 -d 8 /tmp/heard.wav &
recorder=$!
sleep 0.3
say commands_one_speaker.flac
wait $recorder
earshot transcribe --threads 1 /tmp/heard.wav >/log/heard 2>&1

# the engine
earshot transcribe --threads 1 --model /golden/models/ring --delay-ms 480 --format tokens \
    /golden/audio/blocks.flac >/log/ids_ring_blocks_6 2>&1
earshot transcribe --threads 1 --model /golden/models/ring --delay-ms 2400 --format tokens \
    /golden/audio/jfk.flac >/log/ids_ring_jfk_30 2>&1

# a stuck UART; held open, because flow control is forgotten with the last one who closes it
exec 9>"$UART"
stty -F "$UART" raw -echo
echo before >"$UART"
probe flow off "$UART"
probe fill "$UART" >/log/filled
probe flow on "$UART"
sleep 0.1
echo after >"$UART"
exec 9>&-

# unplug while somebody records; plugged in again it has another number
arecord -q -D hw:Mic,0 -f S16_LE -c 2 -r 48000 /tmp/cut.wav 2>/log/arecord &
recorder=$!
sleep 0.3
cat /proc/asound/cards >/log/cards_before
unplug
wait $recorder
cat /proc/asound/cards >/log/cards_gone
replug
cat /proc/asound/cards >/log/cards_back

# one thread alone stands still
(while sleep 0.02; do probe now; done) >/log/ticks &
ticker=$!
sleep 0.2
note freeze
probe freeze $ticker 500
note thaw
sleep 0.2
kill $ticker

# an overrun: the recorder sleeps for longer than its buffer lasts
arecord -q -D hw:Mic,0 -f S16_LE -c 2 -r 48000 --buffer-time=200000 -d 2 /tmp/over.wav \
    2>/log/overrun &
recorder=$!
sleep 0.3
kill -STOP $recorder
sleep 1
kill -CONT $recorder
wait $recorder
note over
