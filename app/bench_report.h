/* bench_report.h - the figures of a benchmark as a table, or as JSON for programs.
 *
 *   es_bench_report(&bench, &output, as_json); */
#pragma once

#include "app/bench.h"
#include "app/output.h"

/* After every measurement. */
void es_bench_report(const struct es_bench *bench, struct es_output *output, bool as_json);
