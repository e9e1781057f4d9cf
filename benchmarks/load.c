/* The load of `request_answer`: N connections, one question outstanding on each, for so many seconds.
 *
 *     load PORT CONNECTIONS SIZE WARM SECONDS
 *
 * A question is SIZE bytes and a line feed. An answer must be the same bytes, or the load says so and fails: what is
 * measured is whole, right answers. Prints one line of JSON: the answers counted after WARM seconds, the seconds they
 * took, all answers, and the share of that time in which it had something to do.
 *
 * One thread, epoll, no memory taken on the way. It does not sleep while it waits: on a virtual machine a core that
 * sleeps takes longer to wake than an answer takes, and the figure would be that of the hypervisor. So its CPU time says
 * nothing; the share is measured by the clock.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define DESCRIPTORS 65536
#define PATIENCE 5.0 /* seconds without any answer */

static int epoll, outstanding;
static char *question, *answer;
static size_t size, had[DESCRIPTORS]; /* by descriptor: bytes of the answer so far */

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not what was expected");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void ask(int fd) {
    if (write(fd, question, size) != (ssize_t)size) fail("write");
    outstanding++;
}

static void open_one(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= DESCRIPTORS || connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    ask(fd);
}

/* Read what came; returns whether an answer is whole. */
static int hear(int fd) {
    ssize_t got = read(fd, answer, size - had[fd]);
    if (got <= 0) fail("read");
    errno = 0;
    if (memcmp(answer, question + had[fd], got)) fail("an answer");
    had[fd] += got;
    if (had[fd] < size) return 0;
    had[fd] = 0;
    outstanding--;
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 6) fail("usage: load PORT CONNECTIONS SIZE WARM SECONDS");
    int port = atoi(argv[1]), connections = atoi(argv[2]), counting = 0;
    double warm = atof(argv[4]), seconds = atof(argv[5]);
    struct epoll_event events[EVENTS];

    size = atoi(argv[3]) + 1;
    question = malloc(size);
    answer = malloc(size);
    epoll = epoll_create1(0);
    memset(question, 'q', size - 1);
    question[size - 1] = '\n';
    for (int i = 0; i < connections; i++) open_one(port);

    double end = now() + warm, begun = 0, busy = 0, last = now();
    long all = 0, counted = 0;
    while (outstanding) { /* after the end what is outstanding is heard, so that no connection is reset */
        int ready = epoll_wait(epoll, events, EVENTS, 0);
        double from = now();
        if (ready < 0) fail("epoll_wait");
        if (!counting && from >= end) counting = 1, begun = from, end = from + seconds;
        else if (counting == 1 && from >= end) counting = 2, end = from;
        if (!ready && from > last + PATIENCE) fail("no answer");
        for (int i = 0; i < ready; i++) {
            if (!hear(events[i].data.fd)) continue;
            all++;
            counted += counting == 1;
            if (counting < 2) ask(events[i].data.fd);
        }
        if (!ready) continue;
        last = now();
        if (counting == 1) busy += last - from;
    }
    printf("{\"answers\": %ld, \"seconds\": %.6f, \"all\": %ld, \"busy\": %.4f}\n", counted, end - begun, all,
           busy / (end - begun));
    return 0;
}
