# shellcheck shell=sh
# full - no room for the journal, which must not take the transcript with it.

mkdir /run/disk
mount -t tmpfs -o size=512k disk /run/disk
listen model=/golden/models/ring uart_format=jsonl journal=/run/disk/journal journal_mib=4
play hw:Mic,1 48000 2 /golden/audio/jfk.flac 4000 >>/log/played
finish
