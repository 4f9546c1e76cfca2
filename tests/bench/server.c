/*
 * The server of the benchmark: as little work for each message as it takes, so that what is measured is the client.
 *
 *     server [FILE]       FILE: key and certificate chain (PEM) for wss; without it there is ws alone
 *
 * It listens on two free ports of the loopback interface, prints them ("WS WSS", 0 for none) and serves until its parent
 * is gone. One thread, one epoll. What a connection is for says its path, and the query says how:
 *
 *     /echo               frames come back as they came
 *     /stream?size=S      a message "N" is answered by N messages of S bytes; text=1: as text, fragments=F: in F frames
 *     /count?until=N      after N messages one message "N B": B bytes of payload were on the wire
 *     /stamp              a message is answered by the time on CLOCK_MONOTONIC, in nanoseconds
 *     deflate=1           permessage-deflate is accepted as offered; of use for /count, since nothing is inflated
 *
 * It trusts its clients: it checks no UTF-8, no fragmentation and no times.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM ((size_t)256 * 1024)           /* what is read at a time, and at least written at a time of a stream */
#define LARGEST ((size_t)128 * 1024 * 1024) /* no message is larger */
#define LITTLE 16384                        /* a counting connection that has read no more than this waits a while: */
#define WHILE_NS 50000                      /*   else each small send would pay for waking this process up */
#define HEADER 14                           /* the longest header of a frame */

enum { GONE = -1, LATER = 0 };              /* in place of a number of bytes */
enum stage { SECURING, OPENING, OPEN, CLOSING };
enum purpose { ECHO, STREAM, COUNT, STAMP };

typedef struct {
    uint8_t *data;
    size_t start, end, room;
} Buffer;

typedef struct {
    int fd;
    SSL *tls;
    enum stage stage;
    enum purpose purpose;
    uint32_t watched;
    Buffer in, out;
    size_t size, fragments, until;  /* what the query says */
    int text;
    size_t counted, counted_bytes;
    Buffer pattern;                 /* some whole messages of a stream; `start` is where it goes on */
    uint64_t left;                  /* bytes of the stream to come */
} Line;

static int watcher;
static SSL_CTX *secure;

static void stop(const char *why)
{
    perror(why);
    exit(1);
}

static void make_room(Buffer *buffer, size_t more)
{
    if (buffer->start == buffer->end) buffer->start = buffer->end = 0;
    if (buffer->room - buffer->end >= more) return;
    if (buffer->start) {
        memmove(buffer->data, buffer->data + buffer->start, buffer->end - buffer->start);
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->room - buffer->end >= more) return;
    buffer->room = buffer->end + more;
    buffer->data = realloc(buffer->data, buffer->room);
    if (!buffer->data) stop("memory");
}

/* -------------------------------------------------------------------------------------------------- the transport */

static ssize_t outcome_of_tls(Line *line, int result)
{
    if (result > 0) return result;
    int error = SSL_get_error(line->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? LATER : GONE;
}

static ssize_t take(Line *line, uint8_t *into, size_t most)
{
    if (line->tls) return outcome_of_tls(line, SSL_read(line->tls, into, (int)most));
    ssize_t got = recv(line->fd, into, most, 0);
    if (got > 0) return got;
    return got < 0 && errno == EAGAIN ? LATER : GONE;
}

static ssize_t give(Line *line, const uint8_t *data, size_t length)
{
    if (line->tls) return outcome_of_tls(line, SSL_write(line->tls, data, (int)length));
    ssize_t gone = send(line->fd, data, length, MSG_NOSIGNAL);
    if (gone > 0) return gone;
    return gone < 0 && errno == EAGAIN ? LATER : GONE;
}

/* Write what waits. */
static int flush(Line *line)
{
    Buffer *out = &line->out;
    while (out->start < out->end) {
        ssize_t gone = give(line, out->data + out->start, out->end - out->start);
        if (gone <= 0) return (int)gone;
        out->start += (size_t)gone;
    }
    return 1;
}

/* Write now what can be written now, and the rest later. */
static int answer(Line *line, const uint8_t *data, size_t length)
{
    while (length && line->out.start == line->out.end) {
        ssize_t gone = give(line, data, length);
        if (gone == GONE) return GONE;
        if (gone == LATER) break;
        data += gone;
        length -= (size_t)gone;
    }
    if (!length) return 1;
    make_room(&line->out, length);
    memcpy(line->out.data + line->out.end, data, length);
    line->out.end += length;
    return 1;
}

static int is_writing(const Line *line)
{
    return line->out.start < line->out.end;
}

/* -------------------------------------------------------------------------------------------------------- frames */

static size_t write_header(uint8_t *at, uint8_t first, uint64_t length)
{
    int bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
    at[0] = first;
    at[1] = bytes == 0 ? (uint8_t)length : bytes == 2 ? 126 : 127;
    for (int i = 0; i < bytes; i++) at[2 + i] = (uint8_t)(length >> 8 * (bytes - 1 - i));
    return 2 + (size_t)bytes;
}

/* Unmask towards lower addresses: `to` may be up to `from` in the same buffer. */
static void unmask(uint8_t *to, const uint8_t *from, size_t length, const uint8_t key[4])
{
    uint64_t wide, words[4];
    memcpy(&wide, key, 4);
    memcpy((uint8_t *)&wide + 4, key, 4);
    size_t i = 0;
    for (; i + sizeof words <= length; i += sizeof words) {
        memcpy(words, from + i, sizeof words);
        for (int k = 0; k < 4; k++) words[k] ^= wide;
        memcpy(to + i, words, sizeof words);
    }
    for (; i < length; i++) to[i] = from[i] ^ key[i & 3];
}

static int answer_text(Line *line, const char *text)
{
    uint8_t frame[HEADER + 64];
    size_t length = strlen(text), header = write_header(frame, 0x81, length);
    memcpy(frame + header, text, length);
    return answer(line, frame, header + length);
}

static int stream_on(Line *line)
{
    Buffer *pattern = &line->pattern;
    while (line->left && !is_writing(line)) {
        size_t piece = pattern->end - pattern->start;
        if (piece > line->left) piece = (size_t)line->left;
        ssize_t gone = give(line, pattern->data + pattern->start, piece);
        if (gone <= 0) return (int)gone;
        line->left -= (uint64_t)gone;
        pattern->start += (size_t)gone;
        if (pattern->start == pattern->end) pattern->start = 0;
    }
    return 1;
}

static size_t write_message(Line *line, uint8_t *at)
{
    size_t written = 0, done = 0;
    for (size_t i = 1; i <= line->fragments; i++) {
        size_t until = line->size * i / line->fragments;
        uint8_t first = (uint8_t)((i == line->fragments ? 0x80 : 0) | (i > 1 ? 0 : line->text ? 1 : 2));
        written += write_header(at + written, first, until - done);
        for (; done < until; done++) at[written++] = (uint8_t)('a' + done % 26);
    }
    return written;
}

static int stream(Line *line, uint64_t count)
{
    Buffer *pattern = &line->pattern;
    size_t most = line->size + HEADER * line->fragments;
    if (!pattern->room) {
        make_room(pattern, ROOM + most);
        do pattern->end += write_message(line, pattern->data + pattern->end); while (pattern->end < ROOM);
    }
    uint8_t *one = malloc(most);
    if (!one) stop("memory");
    size_t length = write_message(line, one);
    free(one);
    pattern->start = 0;
    line->left = count * length;
    return stream_on(line);
}

static int count_frame(Line *line, size_t length, int is_last)
{
    char text[64];
    line->counted_bytes += length;
    line->counted += is_last ? 1 : 0;
    if (!is_last || line->counted != line->until) return 1;
    snprintf(text, sizeof text, "%zu %zu", line->counted, line->counted_bytes);
    return answer_text(line, text);
}

static int stamp(Line *line)
{
    struct timespec now;
    char text[64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "%lld", now.tv_sec * 1000000000LL + now.tv_nsec);
    return answer_text(line, text);
}

/* What is to be done for a data frame that is not echoed. */
static int serve(Line *line, const uint8_t *payload, size_t length, const uint8_t *key, int is_last)
{
    char order[32] = "";
    switch (line->purpose) {
    case STREAM:
        unmask((uint8_t *)order, payload, length < sizeof order ? length : sizeof order - 1, key);
        return stream(line, strtoull(order, NULL, 10));
    case COUNT:
        return count_frame(line, length, is_last);
    default:
        return stamp(line);
    }
}

/* The length of the frame at `at` with its header, which is given too; 0 if there is not enough to tell. */
static size_t measure(const uint8_t *at, size_t there, size_t *header)
{
    if (there < 6) return 0;
    size_t length = at[1] & 127, bytes = length < 126 ? 0 : length == 126 ? 2 : 8;
    *header = 6 + bytes;
    if (there < *header) return 0;
    if (bytes) length = 0;
    for (size_t i = 0; i < bytes; i++) length = length << 8 | at[2 + i];
    return *header + length;
}

/* Serve all frames that are whole. The echo is written where its frame was: a server's header is four bytes shorter. */
static int serve_frames(Line *line)
{
    Buffer *in = &line->in;
    uint8_t *echoes = in->data + in->start;
    size_t echoed = 0, header = 0, whole;
    while (line->stage == OPEN && (whole = measure(in->data + in->start, in->end - in->start, &header))) {
        uint8_t *at = in->data + in->start, first = at[0], *key = at + header - 4;
        size_t length = whole - header;
        if (length > LARGEST) return GONE;
        if (in->end - in->start < whole) break;
        int opcode = first & 15;
        if (opcode < 8 && line->purpose != ECHO) {
            if (serve(line, at + header, length, key, first & 0x80) == GONE) return GONE;
        } else if (opcode != 10) {
            uint8_t keep[4];
            memcpy(keep, key, 4);
            size_t mine = write_header(echoes + echoed, opcode == 9 ? 0x8A : first, length);
            unmask(echoes + echoed + mine, at + header, length, keep);
            echoed += mine + length;
            if (opcode == 8) line->stage = CLOSING;
        }
        in->start += whole;
    }
    return echoed ? answer(line, echoes, echoed) : 1;
}

/* ------------------------------------------------------------------------------------------------------- opening */

/* The value of a header; its length is 0 where there is none. */
static const char *field(const char *head, const char *name, int *length)
{
    const char *at = head;
    *length = 0;
    while ((at = strstr(at, "\r\n")) && at[2] != '\r') {
        at += 2;
        if (strncasecmp(at, name, strlen(name)) == 0 && at[strlen(name)] == ':') {
            at += strlen(name) + 1;
            at += strspn(at, " ");
            *length = (int)strcspn(at, "\r");
            return at;
        }
    }
    return "";
}

static size_t option(const char *request, const char *name, size_t otherwise)
{
    const char *at = strstr(request, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : otherwise;
}

/* The first offer as it was made, without a parameter that leaves its value to us. */
static void accept_extension(char *into, size_t room, const char *offers, int length)
{
    char offer[200], *rest = offer;
    const char *parameter;
    snprintf(offer, sizeof offer, "%.*s", (int)strcspn(offers, ",\r") < length ? (int)strcspn(offers, ",\r") : length, offers);
    size_t used = (size_t)snprintf(into, room, "Sec-WebSocket-Extensions: ");
    for (const char *between = ""; (parameter = strsep(&rest, ";")); between = "; ") {
        parameter += strspn(parameter, " ");
        if (strncmp(parameter, "client_max_window_bits", 22) == 0 && !strchr(parameter, '=')) continue;
        used += (size_t)snprintf(into + used, room - used, "%s%s", between, parameter);
    }
    snprintf(into + used, room - used, "\r\n");
}

static int open_line(Line *line, char *head)
{
    int key_length, offers_length;
    const char *key = field(head, "Sec-WebSocket-Key", &key_length);
    const char *offers = field(head, "Sec-WebSocket-Extensions", &offers_length);
    char *request_end = strstr(head, "\r\n"), text[128], extension[300] = "", reply[700];
    uint8_t digest[SHA_DIGEST_LENGTH], accepted[32];
    if (!key_length || key_length > 60) return GONE;
    if (offers_length) accept_extension(extension, sizeof extension, offers, offers_length);
    int length = snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key_length, key);
    SHA1((uint8_t *)text, (size_t)length, digest);
    EVP_EncodeBlock(accepted, digest, sizeof digest);

    *request_end = 0;
    line->purpose = strstr(head, "/stream") ? STREAM : strstr(head, "/count") ? COUNT : strstr(head, "/stamp") ? STAMP : ECHO;
    line->size = option(head, "size=", 16);
    line->fragments = option(head, "fragments=", 1);
    line->until = option(head, "until=", 0);
    line->text = (int)option(head, "text=", 0);
    if (!option(head, "deflate=", 0)) extension[0] = 0;
    length = snprintf(reply, sizeof reply,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
        accepted, extension);
    line->stage = OPEN;
    return answer(line, (uint8_t *)reply, (size_t)length);
}

static int serve_input(Line *line)
{
    Buffer *in = &line->in;
    if (line->stage == OPENING) {
        char *head = (char *)in->data + in->start, *end = memmem(head, in->end - in->start, "\r\n\r\n", 4);
        if (!end) return in->end < ROOM ? 1 : GONE;
        end[3] = 0;
        in->start += (size_t)(end + 4 - head);
        if (open_line(line, head) == GONE) return GONE;
    }
    return line->stage == OPEN ? serve_frames(line) : 1;
}

/* --------------------------------------------------------------------------------------------------------- events */

static int read_on(Line *line)
{
    Buffer *in = &line->in;
    while (!is_writing(line) && line->stage != CLOSING) {
        size_t header = 0, whole = 0;
        if (line->stage == OPEN) whole = measure(in->data + in->start, in->end - in->start, &header);
        make_room(in, whole > in->end - in->start + ROOM ? whole - (in->end - in->start) : ROOM);
        size_t room = in->room - in->end;
        ssize_t got = take(line, in->data + in->end, room);
        if (got == GONE) return GONE;
        if (got == LATER) break;
        in->end += (size_t)got;
        if (serve_input(line) == GONE) return GONE;
        if (line->purpose == COUNT && line->counted && got <= LITTLE) {
            struct timespec a_while = {.tv_nsec = WHILE_NS};
            nanosleep(&a_while, NULL);
        } else if (!line->tls && (size_t)got < room) {
            break;
        }
    }
    return 1;
}

static int attend(Line *line, uint32_t events)
{
    if (line->stage == SECURING) {
        ssize_t done = outcome_of_tls(line, SSL_accept(line->tls));
        if (done <= 0) return (int)done;
        line->stage = OPENING;
    }
    if (events & EPOLLOUT && (flush(line) == GONE || stream_on(line) == GONE)) return GONE;
    if (read_on(line) == GONE) return GONE;
    if (line->stage == CLOSING && !is_writing(line)) return GONE;
    struct epoll_event wanted = {.events = is_writing(line) ? EPOLLOUT : EPOLLIN, .data.ptr = line};
    if (line->left) wanted.events |= EPOLLOUT;
    if (wanted.events != line->watched) epoll_ctl(watcher, EPOLL_CTL_MOD, line->fd, &wanted);
    line->watched = wanted.events;
    return 1;
}

static void drop(Line *line)
{
    SSL_free(line->tls);
    ERR_clear_error();              /* what this connection suffered must not be taken for an error of the next */
    close(line->fd);
    free(line->in.data);
    free(line->out.data);
    free(line->pattern.data);
    free(line);
}

static void welcome(int listener, int is_secure)
{
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        Line *line = calloc(1, sizeof *line);
        if (!line) stop("memory");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        line->fd = fd;
        line->stage = is_secure ? SECURING : OPENING;
        line->watched = EPOLLIN;
        if (is_secure) {
            line->tls = SSL_new(secure);
            SSL_set_fd(line->tls, fd);
        }
        epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = line});
    }
}

static int listen_for(void *mark, int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) stop("listening");
    getsockname(listener, (struct sockaddr *)&address, &length);
    epoll_ctl(watcher, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = mark});
    *port = ntohs(address.sin_port);
    return listener;
}

static void secure_with(const char *file)
{
    secure = SSL_CTX_new(TLS_server_method());
    if (!secure || SSL_CTX_use_certificate_chain_file(secure, file) != 1
        || SSL_CTX_use_PrivateKey_file(secure, file, SSL_FILETYPE_PEM) != 1) stop("certificate");
    SSL_CTX_set_mode(secure, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

int main(int count, char **words)
{
    int plain, plain_port, private = -1, private_port = 0;
    struct rlimit files;
    struct epoll_event events[256];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    watcher = epoll_create1(EPOLL_CLOEXEC);
    plain = listen_for(&plain, &plain_port);
    if (count > 1) {
        secure_with(words[1]);
        private = listen_for(&private, &private_port);
    }
    printf("%d %d\n", plain_port, private_port);
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(watcher, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            void *what = events[i].data.ptr;
            if (what == &plain) welcome(plain, 0);
            else if (what == &private) welcome(private, 1);
            else if (attend(what, events[i].events) == GONE) drop(what);
        }
    }
}
