#!/usr/bin/env python3
"""Rotary phases with 200 digits, for test_rope.c:

    python3 tests/engine_cpu/rope_phases.py | clang-format > tests/engine_cpu/rope_phases.h

Standard library only. phase = position * theta^(-2i / head_dim) radians, reduced to -pi .. pi.
"""

from decimal import Decimal, getcontext

getcontext().prec = 200
POSITIONS = [0, 1, 749, 100000, 2**31, 2**33, 2**33 + 12345, 2**40]
SHAPES = [(64, 1000000, [0, 1, 15, 30, 31]), (128, 1000000, [0, 1, 32, 63]), (12, 10000, [0, 3, 5])]


def arctan_of_inverse(n):
    total, power, k = Decimal(0), Decimal(1) / n, 0
    while power > Decimal(10) ** -195:
        total += power / (2 * k + 1) * (-1) ** k
        power /= n * n
        k += 1
    return total


def phase(position, theta, head_dim, pair, pi):
    exponent = Decimal(-2 * pair) / head_dim
    angle = position * (exponent * Decimal(theta).ln()).exp()
    return angle - 2 * pi * (angle / (2 * pi)).to_integral_value()


def main():
    pi = 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)
    print("/* rope_phases.h - rotary phases in radians,"
          " made by tests/engine_cpu/rope_phases.py. */")
    print("#pragma once\n\n#include <stdint.h>\n")
    print("static const struct {\n    uint32_t head_dim;\n    double theta;")
    print("    uint32_t pair_index;")
    print("    uint64_t position;\n    double phase;\n} rope_phases[] = {")
    for head_dim, theta, pairs in SHAPES:
        for pair in pairs:
            for position in POSITIONS:
                value = phase(position, theta, head_dim, pair, pi)
                print(f"    {{{head_dim}, {theta}.0, {pair}, {position}u, {float(value)!r}}},")
    print("};")


main()
