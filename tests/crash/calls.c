/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a coordinator: kills it at its Nth system call that changes a file of the journal.
 *
 * Only what is written to disk counts: pwrite64, write, ftruncate64, fsync, fdatasync on journal.db, its -wal and its
 * -journal. `crash_arm(n, how)` is called from the process itself, before it opens the journal; without it nothing
 * is counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum how { BEFORE, HALF, AFTER };

static long left;
static enum how how;

void crash_arm(long n, int chosen) {
    left = n;
    how = chosen;
}

static int ours(int fd) {
    char link[64], path[512];
    ssize_t length;

    if (left <= 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strstr(path, "/journal.db") != NULL;
}

static void die(void) {
    for (;;)
        kill(getpid(), SIGKILL);
}

/* Whether this is the call to die in. */
static int due(int fd) {
    return ours(fd) && --left == 0;
}

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    int last = due(fd);

    if (!real)
        real = REAL("pwrite64", ssize_t(*)(int, const void *, size_t, off64_t));
    if (last && how == BEFORE)
        die();
    ssize_t done = real(fd, data, last && how == HALF ? size / 2 : size, at);
    if (last)
        die();
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    int last = due(fd);

    if (!real)
        real = REAL("write", ssize_t(*)(int, const void *, size_t));
    if (last && how == BEFORE)
        die();
    ssize_t done = real(fd, data, last && how == HALF ? size / 2 : size);
    if (last)
        die();
    return done;
}

int ftruncate64(int fd, off64_t size) {
    static int (*real)(int, off64_t);
    int last = due(fd);

    if (!real)
        real = REAL("ftruncate64", int (*)(int, off64_t));
    if (last && how != AFTER)
        die();
    int done = real(fd, size);
    if (last)
        die();
    return done;
}

int fsync(int fd) {
    static int (*real)(int);
    int last = due(fd);

    if (!real)
        real = REAL("fsync", int (*)(int));
    if (last && how != AFTER)
        die();
    int done = real(fd);
    if (last)
        die();
    return done;
}

int fdatasync(int fd) {
    static int (*real)(int);
    int last = due(fd);

    if (!real)
        real = REAL("fdatasync", int (*)(int));
    if (last && how != AFTER)
        die();
    int done = real(fd);
    if (last)
        die();
    return done;
}
