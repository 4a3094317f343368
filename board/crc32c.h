/* crc32c.h - the CRC of iSCSI and ext4 (Castagnoli polynomial 0x1EDC6F41, reflected; RFC 3720).
 *
 *   crc = es_crc32c(bytes, byte_count);         "123456789" is 0xE3069283 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Any thread. */
uint32_t es_crc32c(const void *bytes, size_t byte_count);
