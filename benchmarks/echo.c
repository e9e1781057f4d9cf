/* The physical limit of `request_answer`: an echo that does nothing but read and write, one thread, epoll.
 *
 * Prints the port it was given, and serves until it is ended.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) exit(1);
}

static void echo(int fd) {
    static char data[65536];
    ssize_t got = read(fd, data, sizeof data);
    if (got <= 0 || write(fd, data, got) != got) close(fd); /* one question outstanding: a write is never partial */
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    struct epoll_event events[EVENTS];

    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) return 1;
    getsockname(listener, (struct sockaddr *)&at, &length);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    watch(epoll, listener);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                echo(fd);
                continue;
            }
            int peer = accept(listener, NULL, NULL);
            setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            watch(epoll, peer);
        }
    }
}
