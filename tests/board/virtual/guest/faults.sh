# shellcheck shell=sh
# faults - fifteen rounds of everything that happens to an appliance, in one life of one process.
# A model of random weights, small enough for hours; somebody talks all the time.

ROUNDS=15

# fault KIND: begins. The scenario sleeps long enough that each is over before the next.
fault() {
    note "fault $1"
}

one_round() {
    fault stopped
    send STOP
    sleep 1
    send CONT
    sleep 1

    fault unplugged
    unplug
    sleep 0.4
    replug
    sleep 1.6

    fault stuck
    probe flow off "$UART"
    sleep 0.5
    probe flow on "$UART"
    sleep 0.3

    fault capture_frozen
    probe freeze "$(thread es-capture)" 900
    sleep 1

    fault engine_frozen
    probe freeze "$(thread es-engine)" 900
    sleep 1

    fault uart_gone
    echo 0000:00:01.0 >/sys/bus/pci/drivers/serial/unbind
    sleep 0.4
    echo 0000:00:01.0 >/sys/bus/pci/drivers/serial/bind
    sleep 1.3

    fault clock_set
    date -s "$(date -d "@$(($(date +%s) + 3600))" '+%Y-%m-%d %H:%M:%S')" >/dev/null
    probe synchronise
    sleep 1.2

    fault processor_taken
    probe hog 400 &
    probe hog 400
    wait $!
    sleep 0.6
}

probe synchronise
listen model=/golden/models/ring uart_format=jsonl journal=/run/journal journal_mib=16
(while :; do
    play hw:Mic,1 48000 2 /golden/audio/jfk.flac
    sleep 0.02
done) >/dev/null 2>&1 &
voice=$!
sleep 1
round=0
while [ $round -lt $ROUNDS ]; do
    one_round
    round=$((round + 1))
    process status
    mv /log/status "/log/status_$round"
done
finish
kill $voice
earshot journal --format jsonl /run/journal >/log/journal 2>&1
