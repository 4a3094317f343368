/* bench_machine.h - what the benchmark asks the machine: how fast its memory can be read at all.
 *
 *   es_bench_machine_layout(&bench);                the CPU's read buffer, in the plan
 *   status = es_bench_measure_read(&bench, &error);  bench.h */
#pragma once

#include "app/bench.h"

void es_bench_machine_layout(struct es_bench *bench);
