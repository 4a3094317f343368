# shellcheck shell=sh
# lib.sh - what the scenarios share. All waiting is in the guest's own time.

export DRIVER=/sys/bus/platform/drivers/snd_aloop
export UART=/dev/ttyS0

# over: the logs to the console, and off. A log that never was fails the test that reads it.
over() {
    for log in /log/*; do
        sed "s|^|log ${log##*/}: |" "$log"
    done
    echo "scenario over"
    poweroff -f
}

# note TEXT: a line in the log "notes".
note() {
    echo "$(probe now) $*" >>/log/notes
}

# pull LINE LEVEL: the outside drives an input line.
pull() {
    probe ask "pull $1 $2" >>/log/asked
}

# say RECORDING [MS]: into the microphone, as a USB one would deliver it; returns when it is over.
# What plays into device 1 of the card "Mic" is captured from its device 0.
say() {
    play hw:Mic,1 48000 2 "/recordings/$1" ${2:+"$2"} >>/log/played 2>&1
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

earshot= # its process

# listen KEY=VALUE...: earshot in the background, as the appliance of this board. Returns when it is
# ready; when it ends instead, so does the scenario.
listen() {
    settings=
    for setting in model=/model threads=1 microphone=Mic uart=0000:00:01.0 board=host \
        led=9030000.pl061:0 step_led=9030000.pl061:1 mute=9030000.pl061:2 "$@"; do
        settings="$settings --set $setting"
    done
    ready_before=$(grep -c READY=1 /log/notify)
    rm -f /run/err
    mkfifo /run/err
    probe stamp said </run/err >>/log/earshot &
    note start
    # shellcheck disable=SC2086
    NOTIFY_SOCKET=/run/notify WATCHDOG_USEC=2000000 earshot listen $settings 2>/run/err &
    earshot=$!
    until [ "$(grep -c READY=1 /log/notify)" -gt "$ready_before" ]; do
        kill -0 "$earshot" 2>/dev/null || over
        sleep 0.02
    done
    note ready
}

# finish: the end as systemd would bring it about; its exit code is noted, and what was traced.
finish() {
    ls "/proc/$earshot/task" >>/log/threads
    note terminate
    send TERM
    gone
    grep -v '^#' /sys/kernel/tracing/trace >/log/trace
}

# send SIGNAL, gone: to earshot; until it is over, noting its exit code.
send() {
    kill "-$1" "$earshot"
}
gone() {
    wait "$earshot"
    note "exit $?"
}

# thread NAME: its number.
thread() {
    for task in "/proc/$earshot/task"/*; do
        if [ "$(cat "$task/comm")" = "$1" ]; then
            echo "${task##*/}"
        fi
    done
}

# tasks: what /proc says of every thread, into the log "tasks".
tasks() {
    cat "/proc/$earshot/task"/*/stat >/log/tasks
}

# process FILE: of /proc, into the log of that name.
process() {
    cat "/proc/$earshot/$1" >"/log/$1"
}

# card NAME: where the card stands that earshot captures from, into the log "card".
card() {
    {
        echo "$(probe now) $1"
        cat "/proc/asound/Mic/pcm0c/sub0/status"
    } >>/log/card 2>&1
}

# trace_uart: from now on the kernel notes every write to a UART and how much of it was taken.
trace_uart() {
    echo mono >/sys/kernel/tracing/trace_clock
    # shellcheck disable=SC2016
    echo 'p:offered uart_write count=$arg3' >/sys/kernel/tracing/kprobe_events
    # shellcheck disable=SC2016
    echo 'r:taken uart_write count=$retval' >>/sys/kernel/tracing/kprobe_events
    echo 1 >/sys/kernel/tracing/events/kprobes/enable
}
