/*
 * Counts, for each thread of a running program, what a real-time thread must not do: ask the allocator, take a mutex, write.
 * The counting allocator of the Rust tests sees Rust only; this sees the C libraries too (codec, sound system, C++).
 *
 *   cc -shared -fPIC -O2 -o audit.so audit.c -ldl
 *   LD_PRELOAD=./audit.so AUDIT_FROM_MS=4000 AUDIT_FOR_MS=10000 AUDIT_TO=table.txt program ...
 *
 * Counting begins AUDIT_FROM_MS after the start and lasts AUDIT_FOR_MS: starting and stopping may allocate. At the end AUDIT_TO receives a line
 *   NAME <tab> malloc <tab> free <tab> mutex <tab> write <tab> the same four again, called by the program's own code
 * for each thread that was given a name or counted for anything (malloc stands for the whole family; the program's own code is its executable
 * with all that is linked into it, as opposed to shared libraries such as those of the sound system). For the first few counts on threads whose name is in
 * AUDIT_WATCH (names with commas between), the call stack follows on lines that begin with '#'.
 *
 * Linux with glibc: the real allocator is reached by its __libc_ names, so that nothing has to be looked up while the program starts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum { MALLOC, FREE, MUTEX, WRITE, KINDS };
static const char *const KIND[KINDS] = { "malloc", "free", "mutex", "write" };

#define MAX_THREADS 512 /* threads that ever lived; the program has some thirty */
#define MAX_STACKS 24
#define DEPTH 24

struct thread {
    char name[16];
    atomic_ulong count[KINDS], own[KINDS];
};
struct stack {
    char name[16];
    int kind, depth;
    void *frame[DEPTH];
};

static struct thread threads[MAX_THREADS];
static atomic_int thread_count, stack_count;
static struct stack stacks[MAX_STACKS];
static _Atomic long long from_ns = -1, until_ns;
static const char *watch = "";
static uintptr_t own_begin, own_end; /* the executable's code */
static int (*real_lock)(pthread_mutex_t *);
static int (*real_name)(pthread_t, const char *);

static __thread struct thread *mine __attribute__((tls_model("initial-exec")));
static __thread int busy __attribute__((tls_model("initial-exec")));

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* This thread's row, named as the kernel names it. One row a thread, also when names repeat. */
static struct thread *row(void) {
    if (!mine) {
        int index = atomic_fetch_add(&thread_count, 1);
        mine = &threads[index < MAX_THREADS ? index : MAX_THREADS - 1];
        syscall(SYS_prctl, PR_GET_NAME, mine->name, 0, 0, 0);
    }
    return mine;
}

static int watched(const char *name) {
    size_t length = strlen(name);
    for (const char *at = watch; length && (at = strstr(at, name)); at++)
        if ((at == watch || at[-1] == ',') && (!at[length] || at[length] == ',')) return 1;
    return 0;
}

#define CALLER __builtin_return_address(0)
static void count(int kind, void *caller) {
    long long begin = atomic_load(&from_ns);
    if (begin < 0 || busy) return;
    busy = 1;
    long long now = now_ns();
    if (now >= begin && now < atomic_load(&until_ns)) {
        struct thread *thread = row();
        atomic_fetch_add(&thread->count[kind], 1);
        if ((uintptr_t)caller >= own_begin && (uintptr_t)caller < own_end) atomic_fetch_add(&thread->own[kind], 1);
        if (watched(thread->name)) {
            int index = atomic_fetch_add(&stack_count, 1);
            if (index < MAX_STACKS) {
                memcpy(stacks[index].name, thread->name, sizeof thread->name);
                stacks[index].kind = kind;
                stacks[index].depth = backtrace(stacks[index].frame, DEPTH);
            }
        }
    }
    busy = 0;
}

void *malloc(size_t size) { count(MALLOC, CALLER); return __libc_malloc(size); }
void *calloc(size_t number, size_t size) { count(MALLOC, CALLER); return __libc_calloc(number, size); }
void *realloc(void *old, size_t size) { count(MALLOC, CALLER); return __libc_realloc(old, size); }
void *memalign(size_t align, size_t size) { count(MALLOC, CALLER); return __libc_memalign(align, size); }
void *aligned_alloc(size_t align, size_t size) { count(MALLOC, CALLER); return __libc_memalign(align, size); }
int posix_memalign(void **out, size_t align, size_t size) {
    count(MALLOC, CALLER);
    void *memory = __libc_memalign(align, size);
    if (!memory) return ENOMEM;
    *out = memory;
    return 0;
}
void free(void *memory) {
    if (memory) count(FREE, CALLER);
    __libc_free(memory);
}

int pthread_mutex_lock(pthread_mutex_t *mutex) {
    if (!real_lock) real_lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    count(MUTEX, CALLER);
    return real_lock(mutex);
}

ssize_t write(int file, const void *bytes, size_t size) { count(WRITE, CALLER); return syscall(SYS_write, file, bytes, size); }
ssize_t writev(int file, const struct iovec *parts, int number) { count(WRITE, CALLER); return syscall(SYS_writev, file, parts, number); }

/* A thread that names itself is listed even if it never does anything that counts: a row of zeros is the proof. */
int pthread_setname_np(pthread_t thread, const char *name) {
    if (!real_name) real_name = (int (*)(pthread_t, const char *))dlsym(RTLD_NEXT, "pthread_setname_np");
    int result = real_name(thread, name);
    if (pthread_equal(thread, pthread_self())) {
        mine = NULL;
        row();
    }
    return result;
}
int prctl(int option, ...) {
    va_list rest;
    va_start(rest, option);
    unsigned long a = va_arg(rest, unsigned long), b = va_arg(rest, unsigned long), c = va_arg(rest, unsigned long), d = va_arg(rest, unsigned long);
    va_end(rest);
    int result = (int)syscall(SYS_prctl, option, a, b, c, d);
    if (option == PR_SET_NAME) {
        mine = NULL;
        row();
    }
    return result;
}

static long long milliseconds(const char *variable) {
    const char *text = getenv(variable);
    return text ? atoll(text) * 1000000LL : 0;
}

/* The first object is the executable. */
static int first_object(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size, (void)unused;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        own_begin = object->dlpi_addr + part->p_vaddr;
        own_end = own_begin + part->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    dl_iterate_phdr(first_object, NULL);
    void *frame[2];
    backtrace(frame, 2); /* loads what it needs now, not on a thread that is being watched */
    if (getenv("AUDIT_WATCH")) watch = getenv("AUDIT_WATCH");
    long long start = now_ns() + milliseconds("AUDIT_FROM_MS");
    atomic_store(&until_ns, start + milliseconds("AUDIT_FOR_MS"));
    atomic_store(&from_ns, start);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("AUDIT_TO");
    atomic_store(&from_ns, -1);
    if (!path) return;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return;
    int number = atomic_load(&thread_count);
    for (int i = 0; i < number && i < MAX_THREADS; i++) {
        dprintf(file, "%s", threads[i].name);
        for (int kind = 0; kind < KINDS; kind++) dprintf(file, "\t%lu", threads[i].count[kind]);
        for (int kind = 0; kind < KINDS; kind++) dprintf(file, "\t%lu", threads[i].own[kind]);
        dprintf(file, "\n");
    }
    number = atomic_load(&stack_count);
    for (int i = 0; i < number && i < MAX_STACKS; i++) {
        char **symbols = backtrace_symbols(stacks[i].frame, stacks[i].depth);
        dprintf(file, "# %s: %s\n", stacks[i].name, KIND[stacks[i].kind]);
        for (int k = 2; symbols && k < stacks[i].depth; k++) dprintf(file, "#     %s\n", symbols[k]);
        __libc_free(symbols);
    }
    close(file);
}
