# shellcheck shell=bash
# packages.sh - Debian's arm64 kernel, libraries and tools, unpacked into a folder of their own.
#
#   . tests/board/virtual/packages.sh
#   board_packages build/board     makes build/board/sysroot and build/board/kernel
#
# Nothing is installed and the system's own apt is not touched: a private apt root with its own
# architecture, lists and cache. No root needed. A later call with the same list does nothing.

BOARD_SUITE=bookworm
BOARD_MIRROR=${BOARD_MIRROR:-http://deb.debian.org/debian}
BOARD_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# With everything that they depend on:
BOARD_LIBRARIES=(libc6-dev libasound2-dev libgpiod-dev libsndfile1-dev libspeexdsp-dev
    libjansson-dev libinih-dev libmd-dev libmd0 gpiod busybox-static)
# Alone, for what they depend on is not needed here:
BOARD_TOOLS=(alsa-utils)

# board_apt COMMAND...: apt-get and apt-cache of the private root in $board_folder.
board_apt() {
    APT_CONFIG=$board_folder/apt/apt.conf "$@"
}

board_apt_root() {
    local apt=$board_folder/apt
    mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial "$apt"/etc/apt.conf.d \
        "$apt"/etc/preferences.d
    : >"$apt/status"
    echo "deb [signed-by=$BOARD_KEYRING] $BOARD_MIRROR $BOARD_SUITE main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir "$apt";
Dir::State "$apt";
Dir::State::lists "lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc "$apt/etc";
Dir::Etc::sourcelist "$apt/sources.list";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
}

# The kernel's package is named after its version, which the metapackage knows.
board_kernel_package() {
    board_apt apt-cache depends linux-image-arm64 |
        sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*-arm64\)$/\1/p' | head -n 1
}

board_fetch() {
    local kernel
    board_apt_root
    board_apt apt-get update -qq || return 1
    kernel=$(board_kernel_package)
    [ -n "$kernel" ] || {
        echo "tests/board: $BOARD_SUITE on $BOARD_MIRROR names no arm64 kernel" >&2
        return 1
    }
    board_apt apt-get install -qq -y --no-install-recommends --download-only \
        "${BOARD_LIBRARIES[@]}" || return 1
    (cd "$board_folder/apt/cache/archives" &&
        board_apt apt-get download -qq "$kernel" "${BOARD_TOOLS[@]}")
}

# A link to /lib means the library below the sysroot; the linker would look on this machine, and
# where that has none, take the static library instead.
board_relink() {
    local link
    find "$board_folder/sysroot" -type l -name '*.so' -lname '/*' | while read -r link; do
        ln -sfnr "$board_folder/sysroot$(readlink "$link")" "$link" || return 1
    done
}

board_unpack() {
    local package
    rm -rf "$board_folder/sysroot" "$board_folder/kernel"
    mkdir -p "$board_folder/sysroot" "$board_folder/kernel"
    for package in "$board_folder"/apt/cache/archives/*.deb; do
        case "$package" in
        # Of 350 MB: the kernel, and the modules of sound cards that are no hardware.
        */linux-image-*)
            dpkg-deb --fsys-tarfile "$package" | tar -x -C "$board_folder/kernel" --wildcards \
                './boot/vmlinuz-*' './lib/modules/*/kernel/sound/core/*' \
                './lib/modules/*/kernel/sound/drivers/*' \
                './lib/modules/*/kernel/sound/soundcore.ko' || return 1
            ;;
        *) dpkg-deb -x "$package" "$board_folder/sysroot" || return 1 ;;
        esac
    done
    board_relink || return 1
    # What was unpacked is enough; the packages would only fill the disk.
    rm -rf "$board_folder/apt/cache"
}

# board_packages FOLDER: 1 when the mirror or the disk says no, after a line about it.
board_packages() {
    local board_folder wanted
    mkdir -p "$1"
    board_folder=$(cd "$1" && pwd)
    wanted="$BOARD_SUITE ${BOARD_LIBRARIES[*]} ${BOARD_TOOLS[*]}"
    [ "$(cat "$board_folder/packages" 2>/dev/null)" != "$wanted" ] || return 0
    [ -r "$BOARD_KEYRING" ] || {
        echo "tests/board: $BOARD_KEYRING is missing; install debian-archive-keyring" >&2
        return 1
    }
    echo "Fetching Debian's arm64 kernel and libraries into ${1} (about 75 MB)"
    board_fetch || {
        echo "tests/board: $BOARD_MIRROR gave no packages; is there a network?" >&2
        return 1
    }
    board_unpack || return 1
    echo "$wanted" >"$board_folder/packages"
}
