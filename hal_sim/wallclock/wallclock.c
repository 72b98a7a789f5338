/* Shifts the wall clock of one process, for tests: preload it and name a file of eight bytes, the offset in nanoseconds, in
   FORECOURT_WALL_CLOCK. CLOCK_REALTIME, time() and gettimeofday() show the shifted time; every wait and every other clock is left alone.
   The kernel is asked directly, so that it makes no difference what else is preloaded before or after. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t no_offset = 0, *offset = &no_offset;

__attribute__((constructor)) static void attach(void) {
    const char *name = getenv("FORECOURT_WALL_CLOCK");
    /* By system call: open() may be another preloaded library's, and that one may not be ready yet. */
    int file = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) offset = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *when) {
    int failed = (int)syscall(SYS_clock_gettime, clock, when);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    int64_t now = when->tv_sec * INT64_C(1000000000) + when->tv_nsec + *offset;
    when->tv_sec = now / 1000000000;
    when->tv_nsec = now % 1000000000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    when->tv_sec = now.tv_sec;
    when->tv_usec = now.tv_nsec / 1000;
    return 0;
}
