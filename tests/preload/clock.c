/*
 * Makes the clock fail once, in one thread of a running program: the Rust library panics when it cannot tell the time, so that this shows
 * what becomes of the terminal when the program has a fault, without a fault in the program.
 *
 *   cc -shared -fPIC -O2 -o clock.so clock.c
 *   LD_PRELOAD=./clock.so BROKEN_CLOCK=FILE BROKEN_CLOCK_IN=THREAD program ...
 *
 * The thread of that name (or `main`, whatever its name) is told the next time that FILE is there that there is no such clock; FILE is gone then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int is(const char *wanted) {
    char name[16] = "";
    if (strcmp(wanted, "main") == 0)
        return syscall(SYS_gettid) == getpid();
    return prctl(PR_GET_NAME, name) == 0 && strcmp(name, wanted) == 0;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    const char *file = getenv("BROKEN_CLOCK"), *wanted = getenv("BROKEN_CLOCK_IN");
    if (file != NULL && wanted != NULL && is(wanted) && unlink(file) == 0) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_clock_gettime, which, now);
}
