/* The load of everything that asks and is answered: N connections, questions outstanding on them, for so many seconds.
 *
 *     load -p PORT -c CONNECTIONS [-w WARM] [-s SECONDS] [-r RATE] [-f] [-n]
 *          [-h HELLO] [-g WELCOME] -q QUESTION -a ANSWER [-e FAREWELL]
 *
 * HELLO, QUESTION, ANSWER and FAREWELL are bytes in hexadecimal, WELCOME is how many bytes answer the hello: so it speaks
 * every protocol in which an answer can be known beforehand. An answer must be those bytes, or the load says so and
 * fails: what is measured is whole, right answers.
 *
 * Without RATE each connection asks again as soon as it is answered. With it so many questions a second are due, spread
 * over the connections, and the time of an answer counts from when its question was due, also where it had to wait for a
 * connection: a server that stops for a moment cannot hide it. -f adds one connection that writes questions as fast as
 * the server takes them. -n opens a connection for each question, and ends it after the answer.
 *
 * Prints one line of JSON: the answers counted after WARM seconds, the seconds they took, all answers, the share of that
 * time in which the load had something to do, percentiles of the answers' times, and what the flood was answered.
 *
 * One thread, epoll, no memory taken on the way. It does not sleep while it waits: on a virtual machine a core that
 * sleeps takes longer to wake than an answer takes, and the figure would be that of the hypervisor. So its CPU time says
 * nothing; the share is measured by the clock.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#define PATIENCE 5.0       /* seconds without any answer */
#define SOURCES 10         /* addresses 127.0.0.x that the connections come from */
#define CHUNK 16384        /* bytes that the flood writes at once: it must not hold up who is measured */
#define BUCKETS 1000000    /* times are counted by 0.1 us, up to 100 ms */

struct blob { char *data; size_t size; };

static struct blob hello, question, answer, farewell, flood;
static int epoll, port, outstanding, opened, anew, flooder = -1;
static size_t welcome, flood_at, had[DESCRIPTORS];   /* by descriptor: bytes of the answer so far */
static char ended[DESCRIPTORS], heard[1 << 16];      /* by descriptor: this end has said all */
static double asked[DESCRIPTORS];                    /* by descriptor: when its question was due */
static int idle[DESCRIPTORS], idle_first, idle_count;
static unsigned taken[BUCKETS + 1];
static double flooded;

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not what was expected");
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static struct blob from_hex(const char *text) {
    struct blob blob = {malloc(strlen(text) / 2 + 1), strlen(text) / 2};
    for (size_t i = 0; i < blob.size; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) fail("hexadecimal");
        blob.data[i] = byte;
    }
    return blob;
}

static void say(int fd, struct blob what) {
    if (what.size && write(fd, what.data, what.size) != (ssize_t)what.size) fail("write");
}

static void ask(int fd, double due) {
    asked[fd] = due;
    outstanding++;
    say(fd, question);
}

static int open_one(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 10 + opened++ % SOURCES)};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= DESCRIPTORS) fail("socket");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from)) fail("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    ended[fd] = 0, had[fd] = 0;
    return fd;
}

/* A connection that is there for all its questions: the welcome is heard before the first. */
static int open_greeted(void) {
    int fd = open_one();
    say(fd, hello);
    for (size_t left = welcome; left;) {
        ssize_t got = read(fd, heard, left < sizeof heard ? left : sizeof heard);
        if (got <= 0) fail("the welcome");
        left -= got;
    }
    return fd;
}

/* A connection for one question, which is said as soon as the welcome is heard, where there is one. */
static void open_for_one(void) {
    double due = now();
    int fd = open_one();
    say(fd, hello);
    if (!welcome) {
        ask(fd, due);
        return;
    }
    asked[fd] = due;
    outstanding++;
}

/* Read what came; returns whether an answer is whole. */
static int hear(int fd) {
    size_t skip = anew ? welcome : 0, whole = had[fd] < skip ? skip : skip + answer.size;
    ssize_t got = read(fd, heard, whole - had[fd] < sizeof heard ? whole - had[fd] : sizeof heard);
    if (got <= 0) fail("read");
    errno = 0;
    if (had[fd] >= skip && memcmp(heard, answer.data + had[fd] - skip, got)) fail("an answer");
    had[fd] += got;
    if (skip && had[fd] == skip) say(fd, question);
    if (had[fd] < skip + answer.size) return 0;
    had[fd] = 0;
    outstanding--;
    return 1;
}

/* End a connection of one question: our half now, all of it when the server has ended its half. */
static int ended_now(int fd) {
    if (!ended[fd]) {
        say(fd, farewell);
        shutdown(fd, SHUT_WR);
        ended[fd] = 1;
        return 0;
    }
    ssize_t got = read(fd, heard, sizeof heard);
    if (got < 0) fail("the end");
    if (!got) close(fd);
    return !got;
}

static void open_flood(void) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
    flood.size = question.size * (1 + 4 * CHUNK / question.size);
    flood.data = malloc(flood.size);
    for (size_t i = 0; i < flood.size; i++) flood.data[i] = question.data[i % question.size];
    event.data.fd = flooder = open_greeted();
    if (fcntl(flooder, F_SETFL, O_NONBLOCK) || epoll_ctl(epoll, EPOLL_CTL_MOD, flooder, &event)) fail("flood");
}

static void flood_on(unsigned events) {
    if (events & EPOLLIN) {
        ssize_t got = read(flooder, heard, sizeof heard);
        if (got <= 0) fail("read of the flood");
        flooded += got;
    }
    if (events & EPOLLOUT) {
        size_t left = flood.size - flood_at;
        ssize_t put = write(flooder, flood.data + flood_at, left < CHUNK ? left : CHUNK);
        if (put > 0) flood_at = (flood_at + put) % flood.size;
    }
}

static void note(double seconds) {
    long bucket = seconds * 1e7;
    taken[bucket < BUCKETS ? bucket : BUCKETS]++;
}

static double percentile(double share, long count) {
    long wanted = count * share, seen = 0;
    for (long i = 0; i <= BUCKETS; i++)
        if ((seen += taken[i]) > wanted) return i / 10.0;
    return 0;
}

int main(int argc, char **argv) {
    int connections = 1, counting = 0, with_flood = 0;
    double warm = 0, seconds = 1, rate = 0;
    struct epoll_event events[EVENTS];

    for (int option; (option = getopt(argc, argv, "p:c:w:s:r:g:fnh:q:a:e:")) != -1;) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'g': welcome = atol(optarg); break;
        case 'f': with_flood = 1; break;
        case 'n': anew = 1; break;
        case 'h': hello = from_hex(optarg); break;
        case 'q': question = from_hex(optarg); break;
        case 'a': answer = from_hex(optarg); break;
        case 'e': farewell = from_hex(optarg); break;
        default: return 2;
    }
    if (!question.size || !answer.size) fail("usage: see the head of load.c");
    epoll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        if (anew) open_for_one();
        else idle[idle_count++] = open_greeted();
    }
    if (with_flood) open_flood();

    double begun = 0, busy = 0, last = now(), end = last + warm, due = last;
    long all = 0, counted = 0;
    if (!rate) while (idle_count) ask(idle[--idle_count], last);
    while (outstanding || ((rate || anew) && counting < 2)) { /* after the end what is outstanding is heard: no reset */
        int ready = epoll_wait(epoll, events, EVENTS, 0), worked = ready > (flooder >= 0);
        double from = now();
        if (ready < 0) fail("epoll_wait");
        if (!counting && from >= end) counting = 1, begun = from, end = from + seconds, flooded = 0;
        else if (counting == 1 && from >= end) counting = 2, end = from;
        if (from > last + PATIENCE) fail("no answer");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == flooder) {
                flood_on(events[i].events);
                continue;
            }
            if (!ended[fd]) {
                if (!hear(fd)) continue;
                last = now();
                if (counting == 1) note(last - asked[fd]);
                all++;
                counted += counting == 1;
            }
            if (anew) {
                if (ended_now(fd) && counting < 2) open_for_one();
            } else if (rate) {
                idle[(idle_first + idle_count++) % DESCRIPTORS] = fd;
            } else if (counting < 2) {
                ask(fd, last);
            }
        }
        for (; rate && counting < 2 && due <= from && idle_count; due += 1 / rate, idle_count--, worked = 1) {
            ask(idle[idle_first], due);
            idle_first = (idle_first + 1) % DESCRIPTORS;
        }
        if (worked && counting == 1) busy += now() - from;
    }
    printf("{\"answers\": %ld, \"seconds\": %.6f, \"all\": %ld, \"busy\": %.4f, \"p50\": %.1f, \"p99\": %.1f, "
           "\"p999\": %.1f, \"flooded\": %.1f}\n",
           counted, end - begun, all, busy / (end - begun), percentile(0.5, counted), percentile(0.99, counted),
           percentile(0.999, counted), flooded / answer.size);
    return 0;
}
