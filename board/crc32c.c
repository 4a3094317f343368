#include "board/crc32c.h"

/* A table of 16 entries, half a byte at a time: 130,000 slots at a start take some 60 ms, and
 * nothing has to be made before the first call. table[i] is the CRC register after the four bits
 * i. */
static const uint32_t table[16] = {0x00000000u, 0x105EC76Fu, 0x20BD8EDEu, 0x30E349B1u,
                                   0x417B1DBCu, 0x5125DAD3u, 0x61C69362u, 0x7198540Du,
                                   0x82F63B78u, 0x92A8FC17u, 0xA24BB5A6u, 0xB21572C9u,
                                   0xC38D26C4u, 0xD3D3E1ABu, 0xE330A81Au, 0xF36E6F75u};

uint32_t es_crc32c(const void *bytes, size_t byte_count) {
    const uint8_t *at = bytes;
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < byte_count; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ table[crc & 15u];
        crc = crc >> 4 ^ table[crc & 15u];
    }
    return ~crc;
}
