/* sanitizer.h - ES_UNDER_SANITIZER is defined where the engine runs ten times slower than people's:
 * long tests shorten what they stream there. */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ES_UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ES_UNDER_SANITIZER 1
#endif
#endif
