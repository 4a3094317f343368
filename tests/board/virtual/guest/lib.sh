# shellcheck shell=sh
# lib.sh - what the scenarios share. All waiting is in the guest's own time.

export DRIVER=/sys/bus/platform/drivers/snd_aloop
export UART=/dev/ttyS0

# note TEXT: a line in the log "notes".
note() {
    echo "$(probe now) $*" >>/log/notes
}

# pull LINE LEVEL: the outside drives an input line.
pull() {
    probe ask "pull $1 $2" >>/log/asked
}

# say RECORDING: into the microphone (card "Mic": what plays into its device 1 is captured from its
# device 0), as a USB one would deliver it; returns when it is over.
say() {
    play hw:Mic,1 48000 2 "/recordings/$1" >>/log/played
}

# unplug, replug: the card "Mic". Another one takes its number before it is back.
unplug() {
    echo snd_aloop.1 >$DRIVER/unbind
    echo snd_aloop.0 >$DRIVER/unbind
}
replug() {
    echo snd_aloop.1 >$DRIVER/bind
    echo snd_aloop.0 >$DRIVER/bind
}
