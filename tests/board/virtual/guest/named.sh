# shellcheck shell=sh
# named - what a person types first: which devices there are, and whether the appliance would work.

mkdir -p /etc
cat >/etc/earshot.conf <<CONF
model = /model
threads = 1
microphone = Mic
uart = 0000:00:01.0
board = host
led = 9030000.pl061:0
mute = 9030000.pl061:2
CONF
earshot devices >/log/devices 2>&1
note "devices $?"
earshot doctor --config /etc/earshot.conf >/log/doctor 2>&1
note "doctor $?"
unplug
earshot doctor --config /etc/earshot.conf >/log/doctor_unplugged 2>&1
note "doctor $?"
