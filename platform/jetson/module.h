/* module.h - which Jetson module this is, and how fast its power mode lets it be.
 *
 *   struct es_jetson_module module;
 *   es_jetson_module_read(&module, "");
 *   if (module.is_jetson && module.memory_bytes_per_s < wanted) { say so, with module.power_mode; }
 *
 * Read from the devicetree, nvpmodel's files, sysfs and debugfs, each of which may lack: what is
 * not known is empty or 0. The numbers of power modes mean different things on different modules,
 * so modes are known by name alone. Allocates (a directory is listed); boot and doctor only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct es_jetson_module {
    bool is_jetson;
    char part[24];       /* "p3767-0003": module and SKU, of the devicetree's `compatible` */
    char title[96];      /* "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit" */
    char power_mode[32]; /* "MAXN_SUPER"; "" not known */
    uint64_t
        emc_cap_hz; /* what the mode lets the memory's clock reach; 0: not capped, or unknown */
    uint64_t emc_max_hz; /* what the clock can reach on this module; needs root; 0: not known */
    uint64_t gpu_cap_hz; /* what the GPU's clock may reach now; 0: not known */
    uint64_t gpu_max_hz; /* the highest of those that it has */
    double memory_bytes_per_s; /* DRAM's peak under the cap; 0: part or clock not known */
};

/* Fills all of it. `root` stands before /proc, /sys, /etc and /var: "" for the real ones. */
void es_jetson_module_read(struct es_jetson_module *module, const char *root);
