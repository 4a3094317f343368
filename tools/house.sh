# shellcheck shell=bash
# house.sh - what ./demo and ./check share. Sourced from the root of the repository:
#
#   . tools/house.sh
#   house_install_for_build

house_job_count() {
    nproc
}

house_fail() {
    echo "${0##*/}: $1" >&2
    exit 4
}

house_is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

house_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# house_install PACKAGE...: installs those that are missing, and says so first.
house_install() {
    command -v dpkg-query >/dev/null ||
        house_fail "this system has no apt; install by hand what these Debian packages hold: $*"
    local package missing=()
    for package in "$@"; do
        house_is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    echo "Installing with apt-get (nothing else on this system is changed): ${missing[*]}"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        house_fail "not root and no sudo; as root: apt-get install ${missing[*]}"
    fi
    local log
    log=$(mktemp)
    # A mirror that is out for a moment must not stop what the cached lists can still install.
    house_as_root apt-get update -qq >"$log" 2>&1 ||
        echo "apt-get update failed; going on with the lists at hand: $(tail -n 1 "$log")" >&2
    if ! house_as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        house_fail "apt-get could not install: ${missing[*]}"
    fi
    rm -f "$log"
}

house_install_for_build() {
    house_install build-essential cmake pkg-config \
        libasound2-dev libsndfile1-dev libspeexdsp-dev libjansson-dev libgpiod-dev \
        libinih-dev libmd-dev
}

house_install_for_check() {
    house_install_for_build
    house_install_for_board
    # OpenBLAS is a second opinion in a test; earshot itself does not use it.
    house_install clang clang-format clang-tidy cppcheck shellcheck python3 libopenblas-dev
    # The threads of the simulated GPU (tests/simt) are its fibers.
    house_install libboost-context-dev
    # The sanitizers' and libFuzzer's runtime is a package of its own in newer distributions.
    local major package
    major=$(dpkg-query -W -f='${Depends}' clang | sed -n 's/.*clang-\([0-9]\+\).*/\1/p')
    package="libclang-rt-$major-dev"
    if apt-cache show "$package" >/dev/null 2>&1; then
        house_install "$package"
    fi
}

# The C sources of libgpiod 2 come inside of the source package of its Python bindings. They go into
# build/gpiod2, for tests of the one file that speaks its API; without them those are skipped.
house_fetch_gpiod2() {
    [ ! -e build/gpiod2/include/gpiod.h ] || return 0
    local log folder
    log=$(mktemp)
    folder=$(mktemp -d)
    if python3 -m pip download -q --no-deps --no-binary :all: -d "$folder" gpiod==2.5.0 \
        >"$log" 2>&1 && mkdir -p build/gpiod2 &&
        tar -xzf "$folder"/gpiod-2.5.0.tar.gz -C build/gpiod2 --strip-components=1; then
        echo "Fetched the C sources of libgpiod 2 from PyPI into build/gpiod2, for a test"
    else
        tail -n 1 "$log" >&2
        echo "libgpiod 2 cannot be fetched from PyPI: the tests of gpio_v2.c are skipped" >&2
    fi
    rm -rf "$log" "$folder"
}

# What the virtual board needs; where it cannot be had, its tests are skipped.
house_install_for_board() {
    (house_install qemu-system-arm gcc-aarch64-linux-gnu debian-archive-keyring) ||
        echo "the virtual board's tests will be skipped"
}

# house_build PRESET [TARGET...]: configures and builds into build/PRESET.
house_build() {
    local preset=$1
    shift
    cmake --preset "$preset" && cmake --build --preset "$preset" -j "$(house_job_count)" \
        ${1:+--target "$@"}
}
