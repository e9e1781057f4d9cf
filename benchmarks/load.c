/* The load of `request_answer`: N connections, one question outstanding on each, for so many seconds.
 *
 *     load PORT CONNECTIONS SIZE WARM SECONDS
 *
 * A question is SIZE bytes and a line feed. An answer must be the same bytes, or the load says so and fails: what is
 * measured is whole, right answers. Prints one line of JSON: the answers counted after WARM seconds, the seconds they
 * took, all answers, and the CPU seconds of this process while it counted. One thread, epoll, no memory taken on the
 * way: docs/performance.md shows that it is not what bounds the figures.
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

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not what was asked");
    exit(1);
}

static double clock_of(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void ask(int fd, const char *question, size_t size) {
    if (write(fd, question, size) != (ssize_t)size) fail("write");
}

static int open_one(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 6) fail("usage: load PORT CONNECTIONS SIZE WARM SECONDS");
    int port = atoi(argv[1]), connections = atoi(argv[2]);
    size_t size = atoi(argv[3]) + 1;
    double warm = atof(argv[4]), seconds = atof(argv[5]);
    char *question = malloc(size), *answer = malloc(size);
    size_t *had = calloc(65536, sizeof *had); /* by descriptor: bytes of the answer so far */
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(0);

    memset(question, 'q', size - 1);
    question[size - 1] = '\n';
    for (int i = 0; i < connections; i++) {
        int fd = open_one(port);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
        ask(fd, question, size);
    }
    double begun = clock_of(CLOCK_MONOTONIC), from = 0, cpu = 0, now = begun;
    long answers = 0, before = 0;
    while (!from || now < from + seconds) {
        int ready = epoll_wait(epoll, events, EVENTS, 1000);
        if (ready <= 0) fail("no answer for a second");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            ssize_t got = read(fd, answer, size - had[fd]);
            if (got <= 0) fail("read");
            if (memcmp(answer, question + had[fd], got)) errno = 0, fail("an answer");
            had[fd] += got;
            if (had[fd] < size) continue;
            had[fd] = 0;
            answers++;
            ask(fd, question, size);
        }
        now = clock_of(CLOCK_MONOTONIC);
        if (!from && now >= begun + warm) {
            from = now;
            before = answers;
            cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        }
    }
    printf("{\"answers\": %ld, \"seconds\": %.6f, \"all\": %ld, \"cpu\": %.6f}\n", answers - before, now - from, answers,
           clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
