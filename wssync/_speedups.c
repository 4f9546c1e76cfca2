/* The optional accelerator behind wssync/protocol/: what touches every byte or every frame, in C.

   Each function for frames has a twin of the same name in wssync/protocol/frames.py, which says what it does; the two
   behave alike in all things, errors and their order included, and tests/protocol/test_speedups.py compares them on
   random bytes. wssync/protocol/speed.py chooses, and wssync/engine/accelerated.py what needs sockets. In this order:

   | part                   | its twin                                    | held by                                |
   | ---------------------- | ------------------------------------------- | -------------------------------------- |
   | masking, encoding      | functions of wssync/protocol/frames.py      | tests/protocol/test_speedups.py        |
   | decoding               | the same; a Row: a list, or a deque         | the same, tests/protocol/test_rows.py  |
   | RoleLock               | threading.RLock                             | tests/engine/test_role_lock.py         |
   | Express                | that of wssync/engine/express.py            | tests/engine/test_express_forms.py     |
   | Borrower, Tally        | Reader.borrow; wssync/engine/tally.py       | tests/engine/test_borrower.py          |
   |                        |                                             | tests/engine/test_borrower_with_tls.py |
   | `send` and `receive`   | those of WebSocketTask, which they are      | tests/engine/test_accelerated.py       |

   Where there is no compiler this file is left out, and nothing is missing but speed.

   Three rules for whoever changes it:
   - Nothing is read or written but what a length checked just before allows; arithmetic on lengths that a peer sent is
     done so that it cannot overflow (compare what is left, do not add to where we are).
   - No state of its own but how the main interpreter's functions are shortened: every interpreter, and every thread
     without a GIL, may be in here at once. What a function writes to is an object that it has just made and that nobody
     else has seen; or an Express, by who has won its role; or a RoleLock, by who has taken the lock in it; or a Row,
     under its own lock.
   - The GIL is let go only round work on many bytes, with nothing of Python's touched meanwhile. Input that is not
     `bytes` stays exported until its function returns, so it can neither move nor shrink. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#ifndef MS_WINDOWS
#define HAVE_SOCKETS /* whose descriptors are those of files, as Python's are everywhere else */
#include <errno.h>
#include <structmember.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#ifdef Py_GIL_DISABLED
#include <stdatomic.h>
#endif
#endif

/* By way of a plain function pointer type, so that the cast to PyCFunction is one that compilers let pass. */
#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

/* Slots hold functions as pointers to data, which ISO C does not convert into each other. */
#define SLOT(function) ((void *)(uintptr_t)(function))

#if defined(__GNUC__)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#define UNLIKELY(condition) (condition)
#endif

/* Payloads longer than this are copied and masked without the GIL. What fits (a few microseconds' work) keeps it:
   getting it back from a thread that computes can take milliseconds. */
#define LONG_PAYLOAD (64 * 1024)

/* From here on it pays to begin at a multiple of 32: behind a header of 14 bytes one store in four would touch two
   cache lines, and a frame of 64 KiB cost half as much again. */
#define ALIGNED_FROM 1024

#define LONGEST_HEADER 14 /* two bytes, eight of length, four of key */

/* First bytes of a frame: FIN, no reserved bit, and the opcode. */
#define WHOLE_TEXT 0x81
#define WHOLE_BINARY 0x82

#define RSV1 0x40 /* of the first byte: the message is compressed */
#define MASKED 0x80
#define LENGTH_IN_16_BITS 126
#define LENGTH_IN_64_BITS 127

/* What older versions of Python lack */

#if PY_VERSION_HEX < 0x030A0000
#define Py_NewRef(object) new_reference((PyObject *)(object))

static PyObject *
new_reference(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
#endif

#if PY_VERSION_HEX < 0x030C0000
static PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *kind, *error, *trace;

    PyErr_Fetch(&kind, &error, &trace);
    PyErr_NormalizeException(&kind, &error, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(error, trace);
        Py_DECREF(trace);
    }
    Py_XDECREF(kind);
    return error;
}

static void
PyErr_SetRaisedException(PyObject *error)
{
    PyObject *kind = Py_NewRef(Py_TYPE(error));

    PyErr_Restore(kind, error, PyException_GetTraceback(error));
}
#endif

/* Arguments */

static int
check_count(const char *function, Py_ssize_t count, Py_ssize_t least, Py_ssize_t most)
{
    if (UNLIKELY(count < least || count > most)) {
        PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, not %zd", function, least, most, count);
        return -1;
    }
    return 0;
}

/* Bytes to read: of a `bytes` as they are, of anything else through its buffer. */
typedef struct {
    const unsigned char *bytes;
    Py_ssize_t size;
    Py_buffer view;
} Input;

static int
open_input(Input *input, PyObject *object)
{
    input->view.obj = NULL;
    if (PyBytes_CheckExact(object)) {
        input->bytes = (const unsigned char *)PyBytes_AS_STRING(object);
        input->size = PyBytes_GET_SIZE(object);
        return 0;
    }
    if (PyObject_GetBuffer(object, &input->view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    input->bytes = (const unsigned char *)input->view.buf;
    input->size = input->view.len;
    return 0;
}

static void
close_input(Input *input)
{
    if (input->view.obj != NULL) {
        PyBuffer_Release(&input->view);
    }
}

/* The four bytes of a key, or NULL and an exception. They live as long as the object. */
static const unsigned char *
key_bytes(PyObject *key)
{
    if (UNLIKELY(!PyBytes_Check(key))) {
        PyErr_Format(PyExc_TypeError, "a masking key is bytes, not %.100s", Py_TYPE(key)->tp_name);
        return NULL;
    }
    if (UNLIKELY(PyBytes_GET_SIZE(key) != 4)) {
        PyErr_Format(PyExc_ValueError, "a masking key has 4 bytes, not %zd", PyBytes_GET_SIZE(key));
        return NULL;
    }
    return (const unsigned char *)PyBytes_AS_STRING(key);
}

/* Masking */

/* Write `size` bytes XORed with the key, its first byte first. Where the two begin in memory is of no account: words
   are moved by memcpy, which compiles to plain loads and stores. Eight words a turn, one by one, are what compilers make
   the best vectors of; from an array of them they store each twice. */
static void
xor_bytes(unsigned char *__restrict to, const unsigned char *__restrict from, Py_ssize_t size, const unsigned char *key)
{
    unsigned char turned[8]; /* the key twice, from where it stands after `ahead` bytes */
    uint64_t pattern;
    Py_ssize_t ahead = 0;

    if (size >= ALIGNED_FROM) {
        ahead = (Py_ssize_t)(-(uintptr_t)to & 31);
        for (Py_ssize_t i = 0; i < ahead; i++) {
            to[i] = from[i] ^ key[i & 3];
        }
        size -= ahead, from += ahead, to += ahead;
    }
    for (Py_ssize_t i = 0; i < 8; i++) {
        turned[i] = key[(i + ahead) & 3];
    }
    memcpy(&pattern, turned, 8);
    for (; size >= 64; size -= 64, from += 64, to += 64) {
        for (int i = 0; i < 64; i += 8) {
            uint64_t word;
            memcpy(&word, from + i, 8);
            word ^= pattern;
            memcpy(to + i, &word, 8);
        }
    }
    for (; size >= 8; size -= 8, from += 8, to += 8) {
        uint64_t word;
        memcpy(&word, from, 8);
        word ^= pattern;
        memcpy(to, &word, 8);
    }
    if (size >= 4) {
        uint32_t word, half;
        memcpy(&half, turned, 4);
        memcpy(&word, from, 4);
        word ^= half;
        memcpy(to, &word, 4);
        size -= 4, from += 4, to += 4;
    }
    /* Whole keys lie behind us, so the next byte of the key is its first. */
    switch (size) {
    case 3:
        to[2] = from[2] ^ turned[2]; /* fall through */
    case 2:
        to[1] = from[1] ^ turned[1]; /* fall through */
    case 1:
        to[0] = from[0] ^ turned[0];
    }
}

/* Write a payload, masked unless `key` is NULL, without the GIL if it is long. */
static void
write_payload(unsigned char *to, const unsigned char *from, Py_ssize_t size, const unsigned char *key)
{
    PyThreadState *thread = size > LONG_PAYLOAD ? PyEval_SaveThread() : NULL;

    if (key != NULL) {
        xor_bytes(to, from, size, key);
    }
    else if (size > 0) { /* an empty buffer may have no address, which memcpy does not allow */
        memcpy(to, from, (size_t)size);
    }
    if (thread != NULL) {
        PyEval_RestoreThread(thread);
    }
}

PyDoc_STRVAR(mask_doc, "mask(data, key, offset=0, /)\n--\n\nThe compiled form of wssync.protocol.frames.mask.");

static PyObject *
mask(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Input data;
    PyObject *masked;
    const unsigned char *key;
    unsigned char turned[4];
    unsigned long turn = 0;

    (void)module;
    if (check_count("mask", count, 2, 3) < 0) {
        return NULL;
    }
    key = key_bytes(args[1]);
    if (key == NULL || open_input(&data, args[0]) < 0) {
        return NULL;
    }
    if (count == 3) {
        PyObject *offset = PyNumber_Index(args[2]);
        if (offset == NULL) {
            close_input(&data);
            return NULL;
        }
        turn = PyLong_AsUnsignedLongMask(offset) & 3; /* of any integer, as in Python */
        Py_DECREF(offset);
    }
    for (unsigned i = 0; i < 4; i++) {
        turned[i] = key[(i + turn) & 3];
    }
    masked = PyBytes_FromStringAndSize(NULL, data.size);
    if (masked != NULL) {
        write_payload((unsigned char *)PyBytes_AS_STRING(masked), data.bytes, data.size, turned);
    }
    close_input(&data);
    return masked;
}

PyDoc_STRVAR(
    mask_into_doc,
    "mask_into(target, start, data, key, /)\n--\n\nThe compiled form of wssync.protocol.frames.mask_into.");

static PyObject *
mask_into(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    const unsigned char *key;
    Py_buffer target;
    Py_ssize_t start;
    Input data;

    (void)module;
    if (check_count("mask_into", count, 4, 4) < 0) {
        return NULL;
    }
    if (UNLIKELY(!PyByteArray_CheckExact(args[0]))) {
        PyErr_Format(PyExc_TypeError, "data is masked into a bytearray, not %.100s", Py_TYPE(args[0])->tp_name);
        return NULL;
    }
    start = PyNumber_AsSsize_t(args[1], PyExc_IndexError);
    if (start == -1 && PyErr_Occurred()) {
        return NULL;
    }
    key = key_bytes(args[3]);
    if (key == NULL || open_input(&data, args[2]) < 0) {
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &target, PyBUF_WRITABLE) < 0) {
        close_input(&data);
        return NULL;
    }
    if (start < 0 || start > target.len || data.size > target.len - start) {
        PyErr_SetString(PyExc_IndexError, "the target has no room for the data");
    }
    else {
        write_payload((unsigned char *)target.buf + start, data.bytes, data.size, key);
    }
    PyBuffer_Release(&target);
    close_input(&data);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Encoding */

/* Write the header of a frame, key included, and return its size. `key` is NULL for an unmasked frame. */
static Py_ssize_t
write_header(unsigned char *to, unsigned char first, Py_ssize_t length, const unsigned char *key)
{
    const unsigned char masked = key == NULL ? 0 : MASKED;
    Py_ssize_t size;

    to[0] = first;
    if (length < 126) {
        to[1] = (unsigned char)(masked | length);
        size = 2;
    }
    else if (length < 1 << 16) {
        to[1] = masked | LENGTH_IN_16_BITS;
        to[2] = (unsigned char)(length >> 8);
        to[3] = (unsigned char)(length & 0xFF);
        size = 4;
    }
    else {
        to[1] = masked | LENGTH_IN_64_BITS;
        for (int i = 0; i < 8; i++) {
            to[2 + i] = (unsigned char)((uint64_t)length >> (56 - 8 * i) & 0xFF);
        }
        size = 10;
    }
    if (key != NULL) {
        memcpy(to + size, key, 4);
        size += 4;
    }
    return size;
}

/* A whole frame as bytes; NULL with an exception. */
static PyObject *
make_frame(unsigned char first, const unsigned char *payload, Py_ssize_t size, const unsigned char *key)
{
    unsigned char header[LONGEST_HEADER];
    const Py_ssize_t header_size = write_header(header, first, size, key);
    PyObject *frame;

    if (UNLIKELY(size > PY_SSIZE_T_MAX - header_size)) {
        return PyErr_NoMemory();
    }
    frame = PyBytes_FromStringAndSize(NULL, header_size + size);
    if (frame != NULL) {
        unsigned char *to = (unsigned char *)PyBytes_AS_STRING(frame);
        memcpy(to, header, (size_t)header_size);
        write_payload(to + header_size, payload, size, key);
    }
    return frame;
}

PyDoc_STRVAR(
    encode_frame_doc,
    "encode_frame(first, payload, key, /)\n--\n\nThe compiled form of wssync.protocol.frames.encode_frame.");

static PyObject *
encode_frame(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    const unsigned char *key = NULL;
    Input payload;
    PyObject *frame;
    Py_ssize_t first;

    (void)module;
    if (check_count("encode_frame", count, 3, 3) < 0) {
        return NULL;
    }
    first = PyNumber_AsSsize_t(args[0], NULL); /* what no Py_ssize_t holds comes as its largest or smallest */
    if (first == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (UNLIKELY(first < 0 || first > 0xFF)) {
        PyErr_SetString(PyExc_ValueError, "the first byte of a frame is 0 to 255");
        return NULL;
    }
    if (open_input(&payload, args[1]) < 0) {
        return NULL;
    }
    if (args[2] != Py_None) {
        key = key_bytes(args[2]);
        if (key == NULL) {
            close_input(&payload);
            return NULL;
        }
    }
    frame = make_frame((unsigned char)first, payload.bytes, payload.size, key);
    close_input(&payload);
    return frame;
}

/* Decoding */

/* Read a length that has 16 or 64 bits, as `form` says, from where it should be; return how many bytes it takes, or 0
   if it is not all there, not in its shortest form, or `form` means something else (a masked frame). */
static Py_ssize_t
read_long_length(const unsigned char *from, Py_ssize_t left, unsigned form, uint64_t *length)
{
    if (form == LENGTH_IN_16_BITS) {
        if (left < 2) {
            return 0;
        }
        *length = (uint64_t)from[0] << 8 | from[1];
        return *length < 126 ? 0 : 2;
    }
    if (form != LENGTH_IN_64_BITS || left < 8) {
        return 0;
    }
    *length = 0;
    for (int i = 0; i < 8; i++) {
        *length = *length << 8 | from[i];
    }
    return *length < 1 << 16 ? 0 : 8;
}

static int
is_ascii(const unsigned char *bytes, Py_ssize_t size)
{
    uint64_t seen = 0;
    uint64_t words[4];

    for (; size >= 32; size -= 32, bytes += 32) {
        memcpy(words, bytes, 32);
        seen |= (words[0] | words[1]) | (words[2] | words[3]);
    }
    for (; size >= 8; size -= 8, bytes += 8) {
        memcpy(words, bytes, 8);
        seen |= words[0];
    }
    for (; size > 0; size--, bytes++) {
        seen |= *bytes;
    }
    return (seen & UINT64_C(0x8080808080808080)) == 0;
}

/* Make a text of what is known to be ASCII. */
static PyObject *
make_ascii(const unsigned char *payload, Py_ssize_t size)
{
    PyObject *text;

    if (size < 2) { /* strings of one character and none exist already */
        return PyUnicode_DecodeUTF8((const char *)payload, size, NULL);
    }
    text = PyUnicode_New(size, 127);
    if (text != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(text), payload, (size_t)size);
    }
    return text;
}

/* Decode a text. NULL without an exception means that it is no UTF-8.

   CPython's decoder takes ASCII by the word only where it begins at a multiple of eight, and payloads begin
   anywhere. */
static PyObject *
decode_text(const unsigned char *payload, Py_ssize_t size)
{
    PyObject *text;

    if (is_ascii(payload, size)) {
        return make_ascii(payload, size);
    }
    text = PyUnicode_DecodeUTF8((const char *)payload, size, NULL);
    if (UNLIKELY(text == NULL) && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
    }
    return text;
}

static PyObject *
copy_binary(const unsigned char *payload, Py_ssize_t size)
{
    PyObject *binary = PyBytes_FromStringAndSize(NULL, size);

    if (binary != NULL) {
        write_payload((unsigned char *)PyBytes_AS_STRING(binary), payload, size, NULL);
    }
    return binary;
}

/* Whether a whole message of one frame, within the limit, begins at `position`; then also where its payload is. */
static int
find_message(const unsigned char *data, Py_ssize_t end, Py_ssize_t limit, Py_ssize_t position, Py_ssize_t *start,
             Py_ssize_t *size)
{
    unsigned form;
    uint64_t length;

    if (end - position < 2 || (data[position] != WHOLE_TEXT && data[position] != WHOLE_BINARY)) {
        return 0;
    }
    length = form = data[position + 1];
    *start = position + 2;
    if (form > 125) {
        const Py_ssize_t bytes = read_long_length(data + *start, end - *start, form, &length);
        if (bytes == 0) {
            return 0;
        }
        *start += bytes;
    }
    /* Once it is known to lie in the data, a length fits a Py_ssize_t. */
    if (length > (uint64_t)(end - *start) || (Py_ssize_t)length > limit) {
        return 0;
    }
    *size = (Py_ssize_t)length;
    return 1;
}

/* Cut messages out of data[position:end] into the list; move `position` on and count their bytes in `total`. */
static int
cut(const unsigned char *data, Py_ssize_t end, Py_ssize_t limit, PyObject *messages, Py_ssize_t *position,
    Py_ssize_t *total)
{
    Py_ssize_t start, size;

    while (find_message(data, end, limit, *position, &start, &size)) {
        PyObject *message =
            data[*position] == WHOLE_TEXT ? decode_text(data + start, size) : copy_binary(data + start, size);
        int status;

        if (UNLIKELY(message == NULL)) {
            return PyErr_Occurred() ? -1 : 0;
        }
        status = PyList_Append(messages, message);
        Py_DECREF(message);
        if (UNLIKELY(status < 0)) {
            return -1;
        }
        *total += size;
        *position = start + size;
    }
    return 0;
}

/* Rows of messages

   A message becomes an object when somebody takes it, and not before. All at once, what one read brings would take
   several times its own memory, more than lies near to the processor, and each message would be made, put in a list,
   moved to a queue and taken out of that. So a row has the bytes that came, and knows where in them the next message
   begins. In Python, a list and a deque are in its place. */

typedef struct {
    PyObject_HEAD
    PyObject *first;     /* a message before all others, or NULL */
    PyObject *data;      /* bytes in which the next ones lie, or NULL */
    Py_ssize_t position; /* where the first of those begins */
    Py_ssize_t lying;    /* how many they are; their text is known to be ASCII */
    PyObject *rest;      /* a list of what comes behind them, or NULL */
    Py_ssize_t taken;    /* how many of the list were taken: in their places is None */
} Row;

/* Without a GIL, a row is looked at under its own lock. */
#ifdef Py_GIL_DISABLED
#define WITH_ROW(row) Py_BEGIN_CRITICAL_SECTION(row)
#define END_WITH_ROW Py_END_CRITICAL_SECTION()
#define WITH_ROWS(one, other) Py_BEGIN_CRITICAL_SECTION2(one, other)
#define END_WITH_ROWS Py_END_CRITICAL_SECTION2()
#else
#define WITH_ROW(row) {
#define END_WITH_ROW }
#define WITH_ROWS(one, other) {
#define END_WITH_ROWS }
#endif

/* Of the rest, so many that were taken are kept before those behind them are moved. */
#define MOST_TAKEN 64

static void row_dealloc(Row *self);

/* Each interpreter has its own type, with the same functions. */
static int
is_row(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == (destructor)row_dealloc;
}

static Py_ssize_t
count_rest(const Row *self)
{
    return self->rest == NULL ? 0 : PyList_GET_SIZE(self->rest) - self->taken;
}

static Py_ssize_t
count_row(const Row *self)
{
    return (self->first != NULL) + self->lying + count_rest(self);
}

/* Make an object of the message that lies at `position`, and move that on. */
static PyObject *
make_message(const Row *self, Py_ssize_t *position)
{
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(self->data);
    Py_ssize_t start = 0, size = 0;
    PyObject *message;

    (void)find_message(data, PyBytes_GET_SIZE(self->data), PY_SSIZE_T_MAX, *position, &start, &size);
    message = data[*position] == WHOLE_TEXT ? make_ascii(data + start, size) : copy_binary(data + start, size);
    *position = start + size;
    return message;
}

static PyObject *
take_lying(Row *self)
{
    Py_ssize_t position = self->position;
    PyObject *message = make_message(self, &position);

    if (message != NULL) {
        self->position = position;
        self->lying--;
        if (self->lying == 0) {
            Py_CLEAR(self->data);
        }
    }
    return message;
}

static PyObject *
take_rest(Row *self)
{
    PyObject *message = Py_NewRef(PyList_GET_ITEM(self->rest, self->taken));
    const Py_ssize_t size = PyList_GET_SIZE(self->rest);

    PyList_SetItem(self->rest, self->taken, Py_NewRef(Py_None));
    self->taken++;
    if (self->taken == size) {
        Py_CLEAR(self->rest);
        self->taken = 0;
    }
    else if (self->taken >= MOST_TAKEN && self->taken >= size / 2) {
        if (PyList_SetSlice(self->rest, 0, self->taken, NULL) == 0) {
            self->taken = 0;
        }
        else {
            PyErr_Clear(); /* no memory to save some */
        }
    }
    return message;
}

/* Take the message behind `first`; NULL without an exception: there is none. */
static PyObject *
take_second(Row *self)
{
    if (self->lying > 0) {
        return take_lying(self);
    }
    return count_rest(self) > 0 ? take_rest(self) : NULL;
}

/* Take the first message, a new reference. NULL without an exception: there is none. */
static PyObject *
take_message(Row *self)
{
    PyObject *message = NULL;

    WITH_ROW(self);
    if (self->first != NULL) {
        message = self->first;
        self->first = NULL;
    }
    else {
        message = take_second(self);
    }
    END_WITH_ROW;
    return message;
}

/* A list of the first `most` messages, which stay. */
static PyObject *
list_messages(Row *self, Py_ssize_t most)
{
    PyObject *list = PyList_New(0); /* first: before Python 3.12 other code runs at that, which may take from the row */
    Py_ssize_t position = self->position;
    int status = list == NULL ? -1 : 0;

    if (self->first != NULL && status == 0) {
        status = PyList_Append(list, self->first);
    }
    for (Py_ssize_t i = 0; i < self->lying && status == 0 && PyList_GET_SIZE(list) < most; i++) {
        PyObject *message = make_message(self, &position);
        status = message == NULL ? -1 : PyList_Append(list, message);
        Py_XDECREF(message);
    }
    for (Py_ssize_t i = 0; i < count_rest(self) && status == 0 && PyList_GET_SIZE(list) < most; i++) {
        status = PyList_Append(list, PyList_GET_ITEM(self->rest, self->taken + i));
    }
    if (status < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* Put a list of messages behind all others. */
static int
put_behind(Row *self, PyObject *list)
{
    if (self->rest == NULL) {
        self->rest = PyList_New(0);
        if (self->rest == NULL) {
            return -1;
        }
    }
    return PyList_SetSlice(self->rest, PyList_GET_SIZE(self->rest), PyList_GET_SIZE(self->rest), list);
}

/* Drop the first `count` messages, which are there, without making them. */
static void
skip_messages(Row *self, Py_ssize_t count)
{
    Py_ssize_t start = 0, size = 0;

    if (count > 0 && self->first != NULL) {
        Py_CLEAR(self->first);
        count--;
    }
    for (; count > 0 && self->lying > 0; count--, self->lying--) {
        (void)find_message((const unsigned char *)PyBytes_AS_STRING(self->data), PyBytes_GET_SIZE(self->data),
                           PY_SSIZE_T_MAX, self->position, &start, &size);
        self->position = start + size;
    }
    if (self->lying == 0) {
        Py_CLEAR(self->data);
    }
    for (; count > 0; count--) {
        Py_DECREF(take_rest(self));
    }
}

static void
empty_row(Row *self)
{
    Py_CLEAR(self->first);
    Py_CLEAR(self->data);
    Py_CLEAR(self->rest);
    self->position = self->lying = self->taken = 0;
}

/* The same as `cut`, into a row. What becomes an object later is seen to be one that can be made then: bytes, or ASCII;
   and short, for it is made with the GIL. */
static int
cut_into_row(Row *self, PyObject *data, Py_ssize_t end, Py_ssize_t limit, Py_ssize_t *position, Py_ssize_t *total)
{
    const unsigned char *bytes = (const unsigned char *)PyBytes_AS_STRING(data);
    const Py_ssize_t begin = *position;
    Py_ssize_t start, size, found = 0;
    int may_lie, status = 0;

    if (self->first == NULL && self->lying == 1 && count_rest(self) == 0) {
        self->first = take_lying(self); /* what the last read began is before what lies in this one */
        status = self->first == NULL ? -1 : 0;
    }
    may_lie = status == 0 && self->lying == 0 && count_rest(self) == 0;
    while (may_lie && find_message(bytes, end, limit, *position, &start, &size) && size <= LONG_PAYLOAD
           && (bytes[*position] == WHOLE_BINARY || is_ascii(bytes + start, size))) {
        *total += size;
        *position = start + size;
        found++;
    }
    if (found > 0) {
        self->data = Py_NewRef(data);
        self->position = begin;
        self->lying = found;
    }
    if (status == 0 && find_message(bytes, end, limit, *position, &start, &size)) {
        PyObject *list = PyList_New(0);
        status = list == NULL ? -1 : cut(bytes, end, limit, list, position, total);
        if (status == 0) {
            status = put_behind(self, list);
        }
        Py_XDECREF(list);
    }
    return status;
}

static PyObject *
pair_of_sizes(Py_ssize_t one, Py_ssize_t other)
{
    PyObject *pair = PyTuple_New(2);
    PyObject *left = PyLong_FromSsize_t(one);
    PyObject *right = PyLong_FromSsize_t(other);

    if (UNLIKELY(pair == NULL || left == NULL || right == NULL)) {
        Py_XDECREF(pair);
        Py_XDECREF(left);
        Py_XDECREF(right);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, left);
    PyTuple_SET_ITEM(pair, 1, right);
    return pair;
}

/* Read an integer; what no Py_ssize_t holds comes as the largest or smallest that there is. */
static int
integer(PyObject *object, Py_ssize_t *number)
{
    if (UNLIKELY(!PyLong_Check(object))) {
        PyErr_Format(PyExc_TypeError, "a position and a limit are integers, not %.100s", Py_TYPE(object)->tp_name);
        return -1;
    }
    *number = PyNumber_AsSsize_t(object, NULL);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(
    cut_messages_doc,
    "cut_messages(data, position, limit, messages, /)\n--\n\n"
    "The compiled form of wssync.protocol.frames.cut_messages.");

static PyObject *
cut_messages(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t end, position, limit = PY_SSIZE_T_MAX, total = 0;
    int status;

    (void)module;
    if (check_count("cut_messages", count, 4, 4) < 0) {
        return NULL;
    }
    if (UNLIKELY(!PyBytes_CheckExact(args[0]) || !(PyList_CheckExact(args[3]) || is_row(args[3])))) {
        PyErr_SetString(PyExc_TypeError, "messages are cut out of bytes and put in a list or a row");
        return NULL;
    }
    end = PyBytes_GET_SIZE(args[0]);
    if (integer(args[1], &position) < 0) {
        return NULL;
    }
    if (UNLIKELY(position < 0 || position > end)) {
        PyErr_SetString(PyExc_ValueError, "the position is not in the data");
        return NULL;
    }
    if (args[2] != Py_None && integer(args[2], &limit) < 0) {
        return NULL;
    }
    if (is_row(args[3])) {
        WITH_ROW(args[3]);
        status = cut_into_row((Row *)args[3], args[0], end, limit, &position, &total);
        END_WITH_ROW;
    }
    else {
        status = cut((const unsigned char *)PyBytes_AS_STRING(args[0]), end, limit, args[3], &position, &total);
    }
    return status < 0 ? NULL : pair_of_sizes(position, total);
}

static Py_ssize_t
row_length(Row *self)
{
    Py_ssize_t length;

    WITH_ROW(self);
    length = count_row(self);
    END_WITH_ROW;
    return length;
}

static PyObject *
no_message(void)
{
    PyErr_SetString(PyExc_IndexError, "there is no such message in the row");
    return NULL;
}

static PyObject *
row_item(Row *self, Py_ssize_t index)
{
    PyObject *message = NULL;

    if (index == 0) {
        WITH_ROW(self);
        if (self->first == NULL) {
            self->first = take_second(self);
        }
        message = self->first == NULL ? NULL : Py_NewRef(self->first);
        END_WITH_ROW;
    }
    return message != NULL || PyErr_Occurred() ? message : no_message();
}

static int
row_set_item(Row *self, Py_ssize_t index, PyObject *value)
{
    PyObject *message = NULL;

    if (value != NULL) {
        PyErr_SetString(PyExc_TypeError, "a message of a row cannot be replaced");
        return -1;
    }
    if (index == 0) {
        message = take_message(self);
    }
    if (message == NULL) {
        if (!PyErr_Occurred()) {
            (void)no_message();
        }
        return -1;
    }
    Py_DECREF(message);
    return 0;
}

static PyObject *
row_iter(Row *self)
{
    PyObject *list, *iterator;

    WITH_ROW(self);
    list = list_messages(self, PY_SSIZE_T_MAX);
    END_WITH_ROW;
    if (list == NULL) {
        return NULL;
    }
    iterator = PyObject_GetIter(list);
    Py_DECREF(list);
    return iterator;
}

PyDoc_STRVAR(popleft_doc, "popleft()\n--\n\nTake the first message. IndexError if there is none.");

static PyObject *
row_popleft(Row *self, PyObject *unused)
{
    PyObject *message = take_message(self);

    (void)unused;
    return message != NULL || PyErr_Occurred() ? message : no_message();
}

PyDoc_STRVAR(append_doc, "append(message, /)\n--\n\nPut it behind all others.");

static PyObject *
row_append(Row *self, PyObject *message)
{
    int status;

    WITH_ROW(self);
    if (self->rest == NULL) {
        self->rest = PyList_New(0);
    }
    status = self->rest == NULL ? -1 : PyList_Append(self->rest, message);
    END_WITH_ROW;
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    extend_doc,
    "extend(messages, /)\n--\n\nPut them behind all others, each as soon as the iterator gives it.");

static PyObject *
row_extend(Row *self, PyObject *messages)
{
    PyObject *message, *done, *iterator = PyObject_GetIter(messages);

    if (iterator == NULL) {
        return NULL;
    }
    while ((message = PyIter_Next(iterator)) != NULL) {
        done = row_append(self, message);
        Py_DECREF(message);
        if (done == NULL) {
            break;
        }
        Py_DECREF(done);
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(appendleft_doc, "appendleft(message, /)\n--\n\nPut it before all others.");

static PyObject *
row_appendleft(Row *self, PyObject *message)
{
    PyObject *list = NULL;
    int status = 0;

    WITH_ROW(self);
    if (self->first != NULL) { /* seldom: all become objects */
        list = list_messages(self, PY_SSIZE_T_MAX);
        status = list == NULL ? -1 : 0;
    }
    if (list != NULL) {
        empty_row(self);
        self->rest = list;
    }
    if (status == 0) {
        self->first = Py_NewRef(message);
    }
    END_WITH_ROW;
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(clear_doc, "clear()\n--\n\nForget all messages.");

static PyObject *
row_clear(Row *self, PyObject *unused)
{
    (void)unused;
    WITH_ROW(self);
    empty_row(self);
    END_WITH_ROW;
    Py_RETURN_NONE;
}

/* Take the first `most` messages of another row, behind those that are here. */
static int
take_over(Row *self, Row *other, Py_ssize_t most)
{
    PyObject *list;
    int status;

    if (count_row(self) == 0 && most >= count_row(other)) {
        self->first = other->first;
        self->data = other->data;
        self->position = other->position;
        self->lying = other->lying;
        self->rest = other->rest;
        self->taken = other->taken;
        other->first = other->data = other->rest = NULL;
        empty_row(other);
        return 0;
    }
    list = list_messages(other, most);
    status = list == NULL ? -1 : put_behind(self, list);
    if (status == 0) {
        skip_messages(other, PyList_GET_SIZE(list));
    }
    Py_XDECREF(list);
    return status;
}

PyDoc_STRVAR(
    take_doc,
    "take(row, count, /)\n--\n\nPut the first `count` messages of another row, or all, behind those of this one, "
    "in one step.");

static PyObject *
row_take(Row *self, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t most;
    int status;

    if (check_count("take", count, 2, 2) < 0) {
        return NULL;
    }
    if (UNLIKELY(!is_row(args[0]) || args[0] == (PyObject *)self)) {
        PyErr_SetString(PyExc_TypeError, "messages are taken from another row");
        return NULL;
    }
    if (integer(args[1], &most) < 0) {
        return NULL;
    }
    WITH_ROWS(self, args[0]);
    status = most <= 0 ? 0 : take_over(self, (Row *)args[0], most);
    END_WITH_ROWS;
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static void
row_dealloc(Row *self)
{
    PyTypeObject *type = Py_TYPE(self);

    empty_row(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    row_doc,
    "Row()\n--\n\n"
    "Messages in a row, to be taken from the left; cut_messages puts them in as bytes that become objects then.\n\n"
    "Has what lists and deques have, as far as it is used; of its items, the first.");

static PyMethodDef row_methods[] = {
    {"append", (PyCFunction)row_append, METH_O, append_doc},
    {"appendleft", (PyCFunction)row_appendleft, METH_O, appendleft_doc},
    {"clear", (PyCFunction)row_clear, METH_NOARGS, clear_doc},
    {"extend", (PyCFunction)row_extend, METH_O, extend_doc},
    {"popleft", (PyCFunction)row_popleft, METH_NOARGS, popleft_doc},
    {"take", FASTCALL(row_take), METH_FASTCALL, take_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot row_slots[] = {
    {Py_tp_doc, (void *)row_doc},
    {Py_tp_dealloc, SLOT(row_dealloc)},
    {Py_tp_methods, row_methods},
    {Py_tp_iter, SLOT(row_iter)},
    {Py_sq_length, SLOT(row_length)},
    {Py_sq_item, SLOT(row_item)},
    {Py_sq_ass_item, SLOT(row_set_item)},
    {0, NULL},
};

static PyType_Spec row_spec = {
    .name = "wssync._speedups.Row",
    .basicsize = sizeof(Row),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = row_slots,
};

/* Frames to and from a socket

   What is done in one call here cannot be interrupted by a signal, except while it waits or calls Python. What was
   done is on record when it returns, in an object's fields or in a list of the caller's: an exception from outside,
   which may come before the result is stored, finds nothing lost. */

#ifdef HAVE_SOCKETS

/* Frames up to this size are put together on the stack. */
#define SHORT_FRAME 4096

static ssize_t
send_without_waiting(int descriptor, const unsigned char *frame, Py_ssize_t size, int flags)
{
    ssize_t accepted;

    Py_BEGIN_ALLOW_THREADS
    do {
        accepted = send(descriptor, frame, (size_t)size, flags);
    } while (accepted < 0 && errno == EINTR);
    Py_END_ALLOW_THREADS
    return accepted < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : accepted;
}

/* The lock of a role

   A `threading.RLock`, as far as roles make use of one (wssync/engine/roles.py), that the short ways take and leave
   without calls of methods, which cost as much as all else that they do. tests/engine/test_role_lock.py compares the
   two.

   It holds no objects, so the garbage collector need not know of it. Who has it is set and forgotten by that thread
   alone. Others may look at it meanwhile, and whatever they find it is not themselves. */

#ifdef Py_GIL_DISABLED
typedef atomic_ulong Owner;
#define OWNER_OF(lock) atomic_load_explicit(&(lock)->owner, memory_order_relaxed)
#define SET_OWNER(lock, thread) atomic_store_explicit(&(lock)->owner, thread, memory_order_relaxed)
#else
typedef unsigned long Owner;
#define OWNER_OF(lock) ((lock)->owner)
#define SET_OWNER(lock, thread) ((lock)->owner = (thread))
#endif

#define NOBODY 0 /* no thread has this number: on what is not Windows it is an address */

typedef struct {
    PyObject_HEAD
    PyThread_type_lock lock;
    Owner owner;
    unsigned long count; /* how often the owner has it; the owner's alone */
} RoleLock;

/* What comes of trying to get a lock. */
enum { FAILED = -1, TAKEN_BY_OTHERS, TAKEN, MINE };

static int
lock_is_mine(RoleLock *self)
{
    return OWNER_OF(self) == PyThread_get_thread_ident();
}

static void
own_lock(RoleLock *self)
{
    SET_OWNER(self, PyThread_get_thread_ident());
    self->count = 1;
}

/* Take it, unless anybody has it: MINE if that is this very thread. */
static int
take_lock(RoleLock *self)
{
    if (UNLIKELY(lock_is_mine(self))) {
        return MINE;
    }
    if (PyThread_acquire_lock_timed(self->lock, 0, 0) != PY_LOCK_ACQUIRED) {
        return TAKEN_BY_OTHERS;
    }
    own_lock(self);
    return TAKEN;
}

/* Leave it; -1 with an exception if this thread does not have it. */
static int
leave_lock(RoleLock *self)
{
    if (UNLIKELY(!lock_is_mine(self))) {
        PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
        return -1;
    }
    if (--self->count == 0) {
        SET_OWNER(self, NOBODY);
        PyThread_release_lock(self->lock);
    }
    return 0;
}

static long long
microseconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* there is no other error than that there is no such clock */
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Wait for another thread to leave it: for so many microseconds at most, or without an end if they are negative. Signal
   handlers run meanwhile; what they raise ends the wait. */
static int
await_lock(RoleLock *self, long long left)
{
    const long long end = left < 0 ? 0 : microseconds_now() + left;

    for (;;) {
        PyLockStatus status;

        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(self->lock, left, 1);
        Py_END_ALLOW_THREADS
        if (status == PY_LOCK_ACQUIRED) {
            own_lock(self);
            return TAKEN;
        }
        if (status == PY_LOCK_FAILURE) {
            return TAKEN_BY_OTHERS;
        }
        if (PyErr_CheckSignals() < 0) {
            return FAILED;
        }
        if (left >= 0) {
            left = Py_MAX(end - microseconds_now(), 0);
        }
    }
}

/* Read how long to wait, in microseconds, rounded up; -1 with an exception. */
static int
read_patience(int blocking, double seconds, long long *microseconds)
{
    const double exact = seconds * 1e6;

    *microseconds = blocking ? -1 : 0;
    if (seconds == -1) {
        return 0;
    }
    if (!blocking) {
        PyErr_SetString(PyExc_ValueError, "can't specify a timeout for a non-blocking call");
        return -1;
    }
    if (!(seconds >= 0)) { /* what is not a number neither */
        PyErr_SetString(PyExc_ValueError, "timeout value must be a non-negative number");
        return -1;
    }
    if (exact > (double)PY_TIMEOUT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return -1;
    }
    *microseconds = (long long)exact;
    *microseconds += (double)*microseconds < exact;
    return 0;
}

PyDoc_STRVAR(
    acquire_doc, "acquire(blocking=True, timeout=-1)\n--\n\nTake it, as the same method of a threading.RLock does.");

static PyObject *
lock_acquire(RoleLock *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"blocking", "timeout", NULL};
    double seconds = -1;
    long long patience = 0;
    int blocking = 1, taken;

    /* The one form that is called with every message. */
    if (keywords == NULL && PyTuple_GET_SIZE(args) == 1 && PyTuple_GET_ITEM(args, 0) == Py_False) {
        blocking = 0;
    }
    else if (!PyArg_ParseTupleAndKeywords(args, keywords, "|pd:acquire", names, &blocking, &seconds)) {
        return NULL;
    }
    if (read_patience(blocking, seconds, &patience) < 0) {
        return NULL;
    }
    taken = take_lock(self);
    if (taken == MINE) {
        if (self->count == ULONG_MAX) {
            PyErr_SetString(PyExc_OverflowError, "Internal lock count overflowed");
            return NULL;
        }
        self->count++;
    }
    else if (taken == TAKEN_BY_OTHERS && patience != 0) {
        taken = await_lock(self, patience);
    }
    return taken == FAILED ? NULL : PyBool_FromLong(taken != TAKEN_BY_OTHERS);
}

PyDoc_STRVAR(release_doc, "release()\n--\n\nLeave it; RuntimeError if this thread does not have it.");

static PyObject *
lock_release(RoleLock *self, PyObject *unused)
{
    (void)unused;
    if (leave_lock(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(is_owned_doc, "_is_owned()\n--\n\nWhether this thread has it.");

static PyObject *
lock_is_owned(RoleLock *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(lock_is_mine(self));
}

static PyObject *
lock_exit(RoleLock *self, PyObject *args)
{
    return lock_release(self, args);
}

static PyObject *
lock_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    RoleLock *self;

    if (PyTuple_GET_SIZE(args) > 0 || (keywords != NULL && PyDict_GET_SIZE(keywords) > 0)) {
        PyErr_SetString(PyExc_TypeError, "RoleLock() takes no arguments");
        return NULL;
    }
    self = (RoleLock *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    SET_OWNER(self, NOBODY);
    self->lock = PyThread_allocate_lock();
    if (self->lock == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void
lock_dealloc(RoleLock *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (self->lock != NULL) {
        if (self->count > 0) { /* a lock that is held must not be freed */
            PyThread_release_lock(self->lock);
        }
        PyThread_free_lock(self->lock);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* The lock as one of these; NULL if it is another. They have no subclasses. */
static RoleLock *
as_role_lock(PyObject *lock)
{
    return Py_TYPE(lock)->tp_dealloc == (destructor)lock_dealloc ? (RoleLock *)lock : NULL;
}

PyDoc_STRVAR(
    role_lock_doc,
    "RoleLock()\n--\n\n"
    "A threading.RLock, as far as wssync.engine.roles makes use of it, for the short ways from here.");

static PyMethodDef lock_methods[] = {
    {"acquire", (PyCFunction)(void (*)(void))lock_acquire, METH_VARARGS | METH_KEYWORDS, acquire_doc},
    {"release", (PyCFunction)lock_release, METH_NOARGS, release_doc},
    {"_is_owned", (PyCFunction)lock_is_owned, METH_NOARGS, is_owned_doc},
    {"__enter__", (PyCFunction)(void (*)(void))lock_acquire, METH_VARARGS | METH_KEYWORDS, acquire_doc},
    {"__exit__", (PyCFunction)lock_exit, METH_VARARGS, release_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, (void *)role_lock_doc},
    {Py_tp_new, SLOT(lock_new)},
    {Py_tp_dealloc, SLOT(lock_dealloc)},
    {Py_tp_methods, lock_methods},
    {0, NULL},
};

static PyType_Spec lock_spec = {
    .name = "wssync._speedups.RoleLock",
    .basicsize = sizeof(RoleLock),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = lock_slots,
};

/* Where an object of a class with slots has one of them; an offset of 0 where that is not known. */
typedef struct {
    PyTypeObject *owner;
    Py_ssize_t offset;
} Slot;

/* Read it from the descriptor that the class has for it; whether that is one. */
static int
read_slot(PyObject *member, Slot *slot)
{
    if (Py_TYPE(member) != &PyMemberDescr_Type || ((PyMemberDescrObject *)member)->d_member->type != T_OBJECT_EX) {
        return 0;
    }
    Py_XSETREF(slot->owner, (PyTypeObject *)Py_NewRef(PyDescr_TYPE(member)));
    slot->offset = ((PyMemberDescrObject *)member)->d_member->offset;
    return 1;
}

/* The object behind `Express`. What is written after `__init__` is written by the holder of the write role alone. */
typedef struct {
    PyObject_HEAD
    PyObject *outbox;
    PyObject *lock;       /* the write role's */
    PyObject *flush;      /* does what others have left */
    PyObject *fresh_keys; /* gives bytes: the next masking keys */
    PyObject *compress;   /* a message -> its compressed form or None; NULL without compression */
    PyObject *seal;       /* a frame -> what TLS makes of it, or None if it cannot now; NULL without TLS */
    PyObject *keep;       /* called with what the kernel did not take of that; NULL without TLS */
    PyObject *is_owned_name, *acquire_name, *release_name, *express_name;
    Slot express_slot; /* of the outbox, if it has slots */
    PyObject *keys; /* the last that `fresh_keys` gave, or NULL */
    Py_ssize_t keys_used;
    PyObject *rest; /* how much of a frame the kernel took, and the frame; NULL unless it is a part */
    PyObject *sealed_rest; /* what it did not take of what TLS made of a frame, or NULL */
    long long sent, wire_sent, messages_sent;
    int descriptor, flags;
    char is_ahead; /* the compressor or TLS may have seen what has not begun to leave */
    char is_lost;  /* it is not known how much of a frame has left */
} Express;

/* Take four bytes that no frame has had. */
static int
next_key(Express *self, unsigned char *key)
{
    if (self->keys == NULL || self->keys_used + 4 > PyBytes_GET_SIZE(self->keys)) {
        PyObject *keys = PyObject_CallNoArgs(self->fresh_keys);
        if (keys == NULL) {
            return -1;
        }
        if (UNLIKELY(!PyBytes_CheckExact(keys) || PyBytes_GET_SIZE(keys) < 4)) {
            PyErr_SetString(PyExc_TypeError, "masking keys are bytes, four at least");
            Py_DECREF(keys);
            return -1;
        }
        Py_XSETREF(self->keys, keys);
        self->keys_used = 0;
    }
    memcpy(key, PyBytes_AS_STRING(self->keys) + self->keys_used, 4);
    self->keys_used += 4;
    return 0;
}

/* Send one frame; how many bytes it has if the kernel took them all, 0 if not: then `rest` has it. */
static Py_ssize_t
send_frame(Express *self, unsigned char first, PyObject *payload, const unsigned char *key)
{
    unsigned char on_stack[SHORT_FRAME];
    unsigned char *frame = on_stack;
    const Py_ssize_t size = PyBytes_GET_SIZE(payload);
    Py_ssize_t frame_size;
    ssize_t accepted;

    if (size > SHORT_FRAME - LONGEST_HEADER) {
        frame = PyMem_RawMalloc((size_t)size + LONGEST_HEADER); /* at most LONG_PAYLOAD, or what it compresses to */
        if (frame == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    frame_size = write_header(frame, first, size, key);
    write_payload(frame + frame_size, (const unsigned char *)PyBytes_AS_STRING(payload), size, key);
    frame_size += size;
    accepted = send_without_waiting(self->descriptor, frame, frame_size, self->flags);
    if (UNLIKELY(accepted < 0)) {
        PyErr_SetFromErrno(PyExc_OSError);
        frame_size = -1;
    }
    else if (UNLIKELY(accepted != frame_size)) {
        Py_XSETREF(self->rest, Py_BuildValue("ny#", (Py_ssize_t)accepted, (const char *)frame, frame_size));
        self->is_lost = self->rest == NULL;
        frame_size = self->is_lost ? -1 : 0;
    }
    if (frame != on_stack) {
        PyMem_RawFree(frame);
    }
    return frame_size;
}

/* The same with what TLS made of a frame. */
static Py_ssize_t
send_sealed(Express *self, PyObject *frame, PyObject *sealed)
{
    const Py_ssize_t size = PyBytes_GET_SIZE(sealed);
    const ssize_t accepted = send_without_waiting(
        self->descriptor, (const unsigned char *)PyBytes_AS_STRING(sealed), size, self->flags);

    if (UNLIKELY(accepted < 0)) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (UNLIKELY(accepted != size)) {
        Py_XSETREF(self->sealed_rest, PySequence_GetSlice(sealed, (Py_ssize_t)accepted, size));
        Py_XSETREF(self->rest, Py_BuildValue("nO", PyBytes_GET_SIZE(frame), frame)); /* TLS has all of it */
        self->is_lost = self->sealed_rest == NULL || self->rest == NULL;
        return self->is_lost ? -1 : 0;
    }
    return PyBytes_GET_SIZE(frame);
}

/* The same with a frame and TLS before the socket. */
static Py_ssize_t
seal_and_send(Express *self, unsigned char first, PyObject *payload, const unsigned char *key)
{
    PyObject *frame = make_frame(
        first, (const unsigned char *)PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), key);
    PyObject *sealed = NULL;
    Py_ssize_t on_wire = -1;

    if (frame != NULL) {
        self->is_ahead = 1;
        sealed = PyObject_CallOneArg(self->seal, frame);
    }
    if (sealed == Py_None) { /* nothing happened: it goes the way of what is queued */
        Py_XSETREF(self->rest, Py_BuildValue("nO", (Py_ssize_t)0, frame));
        on_wire = self->rest == NULL ? -1 : 0;
    }
    else if (sealed != NULL) {
        if (PyBytes_CheckExact(sealed)) {
            on_wire = send_sealed(self, frame, sealed);
        }
        else {
            PyErr_SetString(PyExc_TypeError, "what TLS makes of a frame is bytes");
        }
    }
    Py_XDECREF(frame);
    Py_XDECREF(sealed);
    return on_wire;
}

/* Write role. True, or the message of which a part is left; NULL with an exception. */
static PyObject *
send_message(Express *self, unsigned char first, PyObject *payload)
{
    unsigned char key[4];
    PyObject *compressed = NULL;
    Py_ssize_t on_wire;

    if (self->compress != NULL) {
        self->is_ahead = 1;
        compressed = PyObject_CallOneArg(self->compress, payload);
        if (compressed == NULL) {
            return NULL;
        }
        if (compressed == Py_None) {
            self->is_ahead = 0;
            Py_CLEAR(compressed);
        }
        else if (UNLIKELY(!PyBytes_CheckExact(compressed))) {
            PyErr_SetString(PyExc_TypeError, "a compressed message is bytes");
            Py_DECREF(compressed);
            return NULL;
        }
    }
    if (next_key(self, key) < 0) {
        on_wire = -1;
    }
    else if (UNLIKELY(self->descriptor < 0)) { /* closed meanwhile: a signal handler that has forked */
        errno = EBADF;
        PyErr_SetFromErrno(PyExc_OSError);
        on_wire = -1;
    }
    else {
        if (compressed != NULL) {
            first |= RSV1;
        }
        on_wire = (self->seal == NULL ? send_frame : seal_and_send)(
            self, first, compressed == NULL ? payload : compressed, key);
    }
    Py_XDECREF(compressed);
    if (UNLIKELY(on_wire < 0)) {
        return NULL;
    }
    self->is_ahead = 0;
    if (UNLIKELY(on_wire == 0)) {
        return PyObject_CallMethod(self->outbox, "keep_rest", "OiO", self, (int)(first & ~RSV1), payload);
    }
    self->sent += PyBytes_GET_SIZE(payload);
    self->wire_sent += on_wire;
    self->messages_sent++;
    Py_RETURN_TRUE;
}

/* Raise what is pending with an earlier error as its context; takes over the reference to that. */
static void
raise_in_context(PyObject *earlier)
{
    PyObject *error = PyErr_GetRaisedException();

    if (error == earlier) {
        Py_DECREF(earlier);
    }
    else {
        PyException_SetContext(error, earlier);
    }
    PyErr_SetRaisedException(error);
}

/* Write role, and an exception. False if it says that the connection broke, which the outbox then knows; else NULL. */
static PyObject *
after_exception(Express *self)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *broke = NULL;

    /* Before any call of Python, at which something else could strike: see the twin. */
    if (PyObject_SetAttr(self->outbox, self->express_name, Py_None) == 0
        && PyObject_SetAttrString(self->outbox, "struck", (PyObject *)self) == 0) {
        broke = PyObject_CallMethod(self->outbox, "broke", "OO", self, error);
    }
    if (broke == NULL) {
        raise_in_context(error);
    }
    else if (broke == Py_True) {
        Py_DECREF(error);
        Py_SETREF(broke, Py_NewRef(Py_False));
    }
    else {
        PyErr_SetRaisedException(error);
        Py_CLEAR(broke);
    }
    return broke;
}

/* Whether the way is open for others than who has the write role; -1 with an exception. */
static int
is_open(Express *self)
{
    PyObject *express;

#ifndef Py_GIL_DISABLED /* without a GIL, slots are not read like this */
    if (self->express_slot.offset != 0) {
        express = *(PyObject **)((char *)self->outbox + self->express_slot.offset);
        if (express != NULL) {
            return express != Py_None;
        }
    }
#endif
    express = PyObject_GetAttr(self->outbox, self->express_name);
    if (express == NULL) {
        return -1;
    }
    Py_DECREF(express);
    return express != Py_None;
}

/* Call a method of the lock; whether it says yes, -1 with an exception. */
static int
ask_lock(Express *self, PyObject *name, PyObject *argument)
{
    PyObject *arguments[2] = {self->lock, argument};
    PyObject *answer = PyObject_VectorcallMethod(name, arguments, argument == NULL ? 1 : 2, NULL);

    if (answer == NULL) {
        return -1;
    }
    Py_DECREF(answer);
    return answer == Py_True;
}

/* Try to win the write role. */
static int
win_role(Express *self)
{
    RoleLock *lock = as_role_lock(self->lock);
    int answer;

    if (lock != NULL) {
        return take_lock(lock);
    }
    answer = ask_lock(self, self->is_owned_name, NULL);
    if (answer != 0) {
        return answer < 0 ? FAILED : MINE;
    }
    answer = ask_lock(self, self->acquire_name, Py_False);
    return answer < 0 ? FAILED : answer ? TAKEN : TAKEN_BY_OTHERS;
}

static int
let_role_go(Express *self)
{
    RoleLock *lock = as_role_lock(self->lock);

    return lock != NULL ? leave_lock(lock) : ask_lock(self, self->release_name, NULL);
}

/* Let the write role go, if it was taken, and do what others have left meanwhile. */
static PyObject *
leave(Express *self, int taken, PyObject *result)
{
    PyObject *error = result == NULL ? PyErr_GetRaisedException() : NULL;
    int open = taken ? let_role_go(self) : 0;

    if (open >= 0) {
        open = is_open(self);
    }
    if (open == 0) {
        PyObject *done = PyObject_CallNoArgs(self->flush);
        open = done == NULL ? -1 : 0;
        Py_XDECREF(done);
    }
    if (UNLIKELY(open < 0)) {
        Py_CLEAR(result);
        if (error != NULL) {
            raise_in_context(error);
        }
    }
    else if (error != NULL) {
        PyErr_SetRaisedException(error);
    }
    return result;
}

/* Win the write role, send, let it go: see the twin in Python. */
static PyObject *
send_alone(Express *self, unsigned char first, PyObject *payload)
{
    PyObject *result;
    int taken, open;

    if (UNLIKELY(self->outbox == NULL)) {
        PyErr_SetString(PyExc_TypeError, "this Express was not made whole");
        return NULL;
    }
    if (PyBytes_GET_SIZE(payload) > LONG_PAYLOAD) {
        Py_RETURN_FALSE;
    }
    taken = win_role(self);
    if (UNLIKELY(taken == FAILED || taken == MINE)) { /* by this very thread: a signal handler in a send */
        return taken == MINE ? Py_NewRef(Py_False) : NULL;
    }
    open = taken ? is_open(self) : 0;
    if (open > 0) {
        result = send_message(self, first, payload);
        if (UNLIKELY(result == NULL)) {
            result = after_exception(self);
        }
    }
    else {
        result = open < 0 ? NULL : Py_NewRef(Py_False);
    }
    return leave(self, taken, result);
}

PyDoc_STRVAR(
    send_at_once_doc,
    "send_at_once(first, payload, /)\n--\n\nThe compiled form of wssync.engine.express.Express.send_at_once.");

static PyObject *
express_send_at_once(Express *self, PyObject *const *args, Py_ssize_t count)
{
    long first;

    if (check_count("send_at_once", count, 2, 2) < 0) {
        return NULL;
    }
    first = PyLong_AsLong(args[0]);
    if (UNLIKELY(first == -1 && PyErr_Occurred())) {
        return NULL;
    }
    if (UNLIKELY(first < 0 || first > 0xFF || !PyBytes_CheckExact(args[1]))) {
        PyErr_SetString(PyExc_TypeError, "a message is the first byte of its frame and bytes");
        return NULL;
    }
    return send_alone(self, (unsigned char)first, args[1]);
}

PyDoc_STRVAR(rest_doc, "rest()\n--\n\nSee wssync.engine.ways.Begun.rest.");

static PyObject *
express_rest(Express *self, PyObject *unused)
{
    (void)unused;
    if (self->is_lost || (self->is_ahead && self->rest == NULL)) {
        PyObject *errors = PyImport_ImportModule("wssync.errors");
        PyObject *kind = errors == NULL ? NULL : PyObject_GetAttrString(errors, "ConnectionClosed");
        if (kind != NULL) {
            PyErr_SetString(
                kind, self->is_lost ? "memory ran out in the middle of a message" : "sending was interrupted");
        }
        Py_XDECREF(errors);
        Py_XDECREF(kind);
        return NULL;
    }
    if (self->sealed_rest != NULL) { /* may come twice: an exception from outside may have come before it was kept */
        PyObject *kept = PyObject_CallOneArg(self->keep, self->sealed_rest);
        if (kept == NULL) {
            return NULL;
        }
        Py_DECREF(kept);
    }
    return Py_NewRef(self->rest == NULL ? Py_None : self->rest);
}

PyDoc_STRVAR(forget_doc, "forget()\n--\n\nSee wssync.engine.ways.Begun.forget.");

static PyObject *
express_forget(Express *self, PyObject *unused)
{
    (void)unused;
    Py_CLEAR(self->rest);
    Py_CLEAR(self->sealed_rest);
    self->is_ahead = self->is_lost = 0;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nSee wssync.engine.express.Express.close.");

static PyObject *
express_close(Express *self, PyObject *unused)
{
    (void)unused;
    self->descriptor = -1;
    Py_CLEAR(self->keys); /* after a fork they are the parent's */
    Py_RETURN_NONE;
}

static int
express_init(Express *self, PyObject *args, PyObject *keywords)
{
    PyObject *outbox, *lock, *flush, *fresh_keys, *compress, *seal, *keep, *member;
    int descriptor, flags;

    if (self->outbox != NULL || (keywords != NULL && PyDict_GET_SIZE(keywords) > 0)) {
        PyErr_SetString(PyExc_TypeError, "Express() is called once, without keywords");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "OOOOOiiOO:Express", &outbox, &lock, &flush, &fresh_keys, &compress, &descriptor,
                          &flags, &seal, &keep)) {
        return -1;
    }
    Py_XSETREF(self->is_owned_name, PyUnicode_InternFromString("_is_owned"));
    Py_XSETREF(self->acquire_name, PyUnicode_InternFromString("acquire"));
    Py_XSETREF(self->release_name, PyUnicode_InternFromString("release"));
    Py_XSETREF(self->express_name, PyUnicode_InternFromString("express"));
    if (!self->is_owned_name || !self->acquire_name || !self->release_name || !self->express_name) {
        return -1;
    }
    self->lock = Py_NewRef(lock);
    self->flush = Py_NewRef(flush);
    self->fresh_keys = Py_NewRef(fresh_keys);
    self->compress = compress == Py_None ? NULL : Py_NewRef(compress);
    self->seal = seal == Py_None ? NULL : Py_NewRef(seal);
    self->keep = Py_NewRef(keep);
    self->descriptor = descriptor;
    self->flags = flags;
    member = PyObject_GetAttr((PyObject *)Py_TYPE(outbox), self->express_name);
    if (member == NULL) {
        PyErr_Clear(); /* it has no slots */
    }
    else {
        (void)read_slot(member, &self->express_slot);
        Py_DECREF(member);
    }
    self->outbox = Py_NewRef(outbox); /* last: with it all is there */
    return 0;
}

static int
express_traverse(Express *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->outbox);
    Py_VISIT(self->lock);
    Py_VISIT(self->flush);
    Py_VISIT(self->fresh_keys);
    Py_VISIT(self->compress);
    Py_VISIT(self->seal);
    Py_VISIT(self->keep);
    Py_VISIT(self->express_slot.owner);
    return 0;
}

static int
express_clear(Express *self)
{
    Py_CLEAR(self->outbox);
    Py_CLEAR(self->lock);
    Py_CLEAR(self->flush);
    Py_CLEAR(self->fresh_keys);
    Py_CLEAR(self->compress);
    Py_CLEAR(self->seal);
    Py_CLEAR(self->keep);
    Py_CLEAR(self->express_slot.owner);
    return 0;
}

static void
express_dealloc(Express *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    (void)express_clear(self);
    Py_XDECREF(self->is_owned_name);
    Py_XDECREF(self->acquire_name);
    Py_XDECREF(self->release_name);
    Py_XDECREF(self->express_name);
    Py_XDECREF(self->keys);
    Py_XDECREF(self->rest);
    Py_XDECREF(self->sealed_rest);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    express_doc,
    "Express(outbox, lock, flush, fresh_keys, compress, descriptor, flags, seal, keep, /)\n--\n\n"
    "The compiled form of wssync.engine.express.Express and of the way behind it, for a socket: `seal` and `keep` are\n"
    "those of wssync.transport.stream.Sealing, or None for a plain one.");

static PyMethodDef express_methods[] = {
    {"send_at_once", FASTCALL(express_send_at_once), METH_FASTCALL, send_at_once_doc},
    {"rest", (PyCFunction)express_rest, METH_NOARGS, rest_doc},
    {"forget", (PyCFunction)express_forget, METH_NOARGS, forget_doc},
    {"close", (PyCFunction)express_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef express_members[] = {
    {"sent", T_LONGLONG, offsetof(Express, sent), READONLY, NULL},
    {"wire_sent", T_LONGLONG, offsetof(Express, wire_sent), READONLY, NULL},
    {"messages_sent", T_LONGLONG, offsetof(Express, messages_sent), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot express_slots[] = {
    {Py_tp_doc, (void *)express_doc},
    {Py_tp_init, SLOT(express_init)},
    {Py_tp_traverse, SLOT(express_traverse)},
    {Py_tp_clear, SLOT(express_clear)},
    {Py_tp_dealloc, SLOT(express_dealloc)},
    {Py_tp_methods, express_methods},
    {Py_tp_members, express_members},
    {0, NULL},
};

static PyType_Spec express_spec = {
    .name = "wssync._speedups.Express",
    .basicsize = sizeof(Express),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = express_slots,
};

/* A receive that reads by itself

   The twin of `Reader.borrow`, and of `_read_one` and `_read_long` in wssync/engine/borrowed.py, for a caller who waits
   without a limit on a socket where nobody is before it. It wins the read role, waits, and lets the role go with the
   first message, if what came is whole messages and nothing has come in their way. Everything else goes on in Python,
   with the role held: `Reader.go_on`. What the kernel gave is in the reader's box by then, and it is there too when
   anything raises; with TLS it is the stream's from the first, and in the box as plain text.

   All that is known of a connection stays where it is for Python, in slots. Only with a GIL they are read from here. */

#ifndef Py_GIL_DISABLED
#define CAN_BORROW

#define LITTLE 4096 /* bytes in one read as long as little comes: that of wssync/engine/receiver.py */
#define MUCH (32 * 1024) /* bytes of a message of which only one or two come with one read, whatever that asks for */

/* What is counted of what comes. Read role. */
typedef struct {
    PyObject_HEAD
    long long received, wire, messages, turns;
} Tally;

PyDoc_STRVAR(tally_doc, "Tally()\n--\n\nThe compiled form of wssync.engine.tally.Tally.");

static void
tally_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef tally_members[] = {
    {"received", T_LONGLONG, offsetof(Tally, received), 0, NULL},
    {"wire", T_LONGLONG, offsetof(Tally, wire), 0, NULL},
    {"messages", T_LONGLONG, offsetof(Tally, messages), 0, NULL},
    {"turns", T_LONGLONG, offsetof(Tally, turns), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tally_slots[] = {
    {Py_tp_doc, (void *)tally_doc},
    {Py_tp_dealloc, SLOT(tally_dealloc)},
    {Py_tp_members, tally_members},
    {0, NULL},
};

static PyType_Spec tally_spec = {
    .name = "wssync._speedups.Tally",
    .basicsize = sizeof(Tally),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = tally_slots,
};

/* The slots that are read, in the order in which they are given: of a reader, of the class that it is made from, of a
   connection, of an inbox and of a heartbeat. */
enum {
    ASLEEP,
    DESCRIPTOR,
    LENT,
    LOCK,
    UNSEALING,
    UNSETTLED,
    BOX,
    CONNECTION,
    HEARTBEAT,
    INBOX,
    IS_ADMITTED,
    IS_FRESH,
    MOST,
    NOW,
    STREAM,
    CLOSING_ASKED,
    SIZE_LIMIT,
    TALLY,
    UNFINISHED,
    EXPRESS,
    HAS_HAD_MESSAGES,
    HEARD_AT,
    SLOTS
};

/* One for all connections. */
typedef struct {
    PyObject_HEAD
    Slot slots[SLOTS];
    char is_whole;
} Borrower;

/* One receive. The references are its own: whatever becomes of the connection meanwhile, they live. */
typedef struct {
    const Slot *slots;
    PyObject *reader, *connection, *inbox, *heartbeat;
    Tally *tally;
    RoleLock *lock;
} Borrowing;

/* What a slot of an object holds: borrowed, or NULL. */
static PyObject *
in_slot(PyObject *object, const Slot *slot)
{
    return *(PyObject **)((char *)object + slot->offset);
}

static void
put_in_slot(PyObject *object, const Slot *slot, PyObject *value)
{
    PyObject **place = (PyObject **)((char *)object + slot->offset);

    Py_XSETREF(*place, Py_NewRef(value));
}

static int
has_slot(PyObject *object, const Slot *slot)
{
    return object != NULL && PyObject_TypeCheck(object, slot->owner);
}

static void
end_borrowing(Borrowing *self)
{
    Py_DECREF(self->reader);
    Py_DECREF(self->connection);
    Py_DECREF(self->inbox);
    Py_DECREF(self->heartbeat);
    Py_DECREF(self->tally);
    Py_DECREF(self->lock);
}

/* Look up what a receive needs; -1 with an exception if a reader is not made of what it should be. */
static int
begin_borrowing(Borrowing *self, const Slot *slots, PyObject *reader)
{
    PyObject *connection, *inbox, *heartbeat, *tally, *lock;

    if (has_slot(reader, &slots[LENT])) { /* then it has those of the class it is made from */
        connection = in_slot(reader, &slots[CONNECTION]);
        inbox = in_slot(reader, &slots[INBOX]);
        heartbeat = in_slot(reader, &slots[HEARTBEAT]);
        lock = in_slot(reader, &slots[LOCK]);
        if (has_slot(connection, &slots[TALLY]) && has_slot(inbox, &slots[EXPRESS])
            && has_slot(heartbeat, &slots[HEARD_AT]) && lock != NULL && as_role_lock(lock) != NULL) {
            tally = in_slot(connection, &slots[TALLY]);
            if (tally != NULL && Py_TYPE(tally)->tp_dealloc == tally_dealloc) {
                self->slots = slots;
                self->reader = Py_NewRef(reader);
                self->connection = Py_NewRef(connection);
                self->inbox = Py_NewRef(inbox);
                self->heartbeat = Py_NewRef(heartbeat);
                self->tally = (Tally *)Py_NewRef(tally);
                self->lock = (RoleLock *)Py_NewRef(lock);
                return 0;
            }
        }
    }
    PyErr_SetString(PyExc_TypeError, "a reader that is not made of what a borrower knows");
    return -1;
}

/* Whether there is no message, and nothing in the way of one; -1 with an exception. */
static int
is_alone(const Borrowing *self)
{
    PyObject *express = in_slot(self->inbox, &self->slots[EXPRESS]);
    Py_ssize_t size;

    if (express == NULL || express == Py_None) {
        return 0;
    }
    Py_INCREF(express); /* it may be replaced meanwhile */
    size = PyObject_Size(express);
    Py_DECREF(express);
    return size < 0 ? -1 : size == 0;
}

/* Looked up each time: a signal handler may fork, and in the child it is gone. -1 with an exception. */
static int
find_descriptor(const Borrowing *self, int *descriptor)
{
    PyObject *number = in_slot(self->reader, &self->slots[DESCRIPTOR]);

    *descriptor = number == NULL || !PyLong_Check(number) ? -1 : (int)PyLong_AsLong(number);
    return *descriptor == -1 && PyErr_Occurred() ? -1 : 0;
}

/* Wait for bytes; how many came, -1 if none did. Whether that is an error of the system, in `errno`, or what a signal
   handler raised, says whether there is an exception; which may be there when bytes came too. */
static ssize_t
wait_for_bytes(const Borrowing *self, unsigned char *to, Py_ssize_t most)
{
    for (;;) {
        ssize_t received;
        int descriptor;

        if (find_descriptor(self, &descriptor) < 0) {
            return -1;
        }
        Py_BEGIN_ALLOW_THREADS
        received = recv(descriptor, to, (size_t)most, 0);
        Py_END_ALLOW_THREADS
        if (received < 0 && errno != EINTR) {
            return -1;
        }
        /* Also when bytes have come: what a handler raises is to find them in the box, and not on their way. */
        if (PyErr_CheckSignals() < 0 || received >= 0) {
            return received;
        }
    }
}

/* Bytes of memory for which the announcement of a message is good, and how many times those that have come already: as
   in wssync/protocol/unfinished.py, which says why. */
#define CREDIT (256 * 1024)
#define CREDIT_FACTOR 4
#define ROOM_FROM (32 * 1024) /* bytes of memory for which a read is worth while */

/* What one read brought. Where it filled the memory there is more as a rule: then the message behind the last whole one
   is completed, as far as that is possible without waiting; so the next read begins with a message, and nobody has to
   join what two reads brought. For the end of a long binary message that comes alone it is waited here. */
typedef struct {
    const unsigned char *bytes;
    Py_ssize_t size;
    PyObject *buffer;    /* the bytes in which they lie, and room behind them; NULL if they lie elsewhere */
    Py_ssize_t whole;    /* how many of these bytes are whole messages */
    Py_ssize_t messages; /* how many those are */
    /* Of the frame behind them; while the header has no byte here, it is all among the bytes above. */
    unsigned char header[LONGEST_HEADER];
    Py_ssize_t header_size;
    PyObject *payload; /* bytes that are filled up to `filled`, or NULL */
    Py_ssize_t filled;
    Py_ssize_t length; /* of the payload when all of it has come */
    int error; /* of the system, which ended it */
} Came;

static int
is_complete(const Came *came)
{
    return came->payload != NULL && came->filled == came->length;
}

/* How many of the first bytes are not said once more by what follows them. */
static Py_ssize_t
size_before_header(const Came *came)
{
    return came->header_size > 0 ? came->whole : came->size;
}

static Py_ssize_t
size_of_all(const Came *came)
{
    return size_before_header(came) + came->header_size + came->filled;
}

/* All of it in one piece. */
static PyObject *
join_what_came(const Came *came)
{
    const Py_ssize_t whole = size_before_header(came);
    PyObject *joined;
    char *to;

    if (came->buffer != NULL && whole == PyBytes_GET_SIZE(came->buffer)) {
        return Py_NewRef(came->buffer); /* it is what came */
    }
    joined = PyBytes_FromStringAndSize(NULL, size_of_all(came));
    if (joined != NULL) {
        to = PyBytes_AS_STRING(joined);
        memcpy(to, came->bytes, (size_t)whole);
        memcpy(to + whole, came->header, (size_t)came->header_size);
        if (came->filled > 0) {
            memcpy(to + whole + came->header_size, PyBytes_AS_STRING(came->payload), (size_t)came->filled);
        }
    }
    return joined;
}

/* Fill memory from `filled` on with what is there. 1 if it is full, 0 if not, -1 with an exception: of the handler of a
   signal that struck meanwhile. */
static int
fill_now(const Borrowing *self, Came *came, unsigned char *to, Py_ssize_t size, Py_ssize_t *filled)
{
    while (*filled < size) {
        ssize_t received;
        int descriptor;

        if (find_descriptor(self, &descriptor) < 0) {
            return -1;
        }
        Py_BEGIN_ALLOW_THREADS
        received = recv(descriptor, to + *filled, (size_t)(size - *filled), MSG_DONTWAIT);
        Py_END_ALLOW_THREADS
        if (received > 0) {
            *filled += received;
        }
        else if (received == 0 || errno != EINTR) { /* of the end Python hears when it reads */
            came->error = received == 0 || errno == EAGAIN || errno == EWOULDBLOCK ? 0 : errno;
            return 0;
        }
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
    }
    return 1;
}

/* How many bytes a header has that begins like this, as far as is known; 0 if it is of no message to complete here. */
static Py_ssize_t
header_size(const Came *came)
{
    if (came->header[0] != WHOLE_TEXT && came->header[0] != WHOLE_BINARY) {
        return 0;
    }
    if (came->header_size < 2 || came->header[1] < LENGTH_IN_16_BITS) {
        return 2;
    }
    return came->header[1] == LENGTH_IN_16_BITS ? 4 : came->header[1] == LENGTH_IN_64_BITS ? 10 : 0;
}

/* Complete the header: 1 if it is one of a message, whose length is told then; else as `fill_now`. */
static int
complete_header(const Borrowing *self, Came *came, uint64_t *length)
{
    Py_ssize_t size;

    while ((size = header_size(came)) > came->header_size) {
        const int full = fill_now(self, came, came->header, size, &came->header_size);
        if (full <= 0) {
            return full;
        }
    }
    if (size == 0) {
        return 0;
    }
    *length = came->header[1];
    return size == 2 || read_long_length(came->header + 2, size - 2, came->header[1], length) > 0;
}

/* What the clock says. NULL: there is none, or with an exception. */
static PyObject *
ask_clock(const Borrowing *self)
{
    PyObject *clock = in_slot(self->reader, &self->slots[NOW]), *now;

    if (clock == NULL) {
        return NULL;
    }
    Py_INCREF(clock);
    now = PyObject_CallNoArgs(clock);
    Py_DECREF(clock);
    return now;
}

/* Put on record that something was heard, and how much there is of a message that is not complete; -1 if there is no
   clock, or with an exception. */
static int
note_progress(const Borrowing *self, Py_ssize_t unfinished)
{
    PyObject *size = PyLong_FromSsize_t(unfinished), *now = size == NULL ? NULL : ask_clock(self);

    if (now != NULL) {
        put_in_slot(self->heartbeat, &self->slots[HEARD_AT], now);
        put_in_slot(self->connection, &self->slots[UNFINISHED], size);
    }
    Py_XDECREF(size);
    Py_XDECREF(now);
    return now == NULL ? -1 : 0;
}

/* Give a long message the memory that is worth what has come of it. 1, 0 if there is none, -1 with an exception. */
static int
grow_payload(const Borrowing *self, Came *came)
{
    const Py_ssize_t filled = came->filled, most = filled + Py_MAX(CREDIT, CREDIT_FACTOR * filled);
    Py_ssize_t end = came->length;
    PyObject *grown, *told;

    while (end > most) {
        end = end / CREDIT_FACTOR + (end % CREDIT_FACTOR > 0);
    }
    end = Py_MAX(end, Py_MIN(came->length, filled + CREDIT));
    told = PyObject_CallMethod(self->reader, "_expect_blocks", "n", end);
    if (told == NULL) {
        return -1;
    }
    Py_DECREF(told);
    grown = PyBytes_FromStringAndSize(NULL, end);
    if (grown == NULL) {
        PyErr_Clear(); /* memory is asked for once more, by who decodes it instead */
        return 0;
    }
    memcpy(PyBytes_AS_STRING(grown), PyBytes_AS_STRING(came->payload), (size_t)filled);
    Py_SETREF(came->payload, grown);
    return 1;
}

/* Read a long message to its end, unless something comes in its way. 0, or -1 with an exception. */
static int
wait_for_payload(const Borrowing *self, Came *came)
{
    while (came->filled < came->length) {
        const Py_ssize_t room = PyBytes_GET_SIZE(came->payload) - came->filled;
        unsigned char *to = (unsigned char *)PyBytes_AS_STRING(came->payload) + came->filled;
        ssize_t received;

        if (room < ROOM_FROM && came->filled + room < came->length) {
            const int grown = grow_payload(self, came);
            if (grown <= 0) {
                return grown;
            }
            continue;
        }
        if (note_progress(self, came->filled) < 0 || is_alone(self) != 1) {
            return PyErr_Occurred() ? -1 : 0;
        }
        received = wait_for_bytes(self, to, room);
        if (received > 0) {
            came->filled += received;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
        if (received <= 0) { /* of the end Python hears when it reads */
            came->error = received < 0 ? errno : 0;
            return 0;
        }
    }
    return 0;
}

/* Complete the message behind the last whole one. 0, or -1 with an exception as `fill_now`. */
static int
complete_last(const Borrowing *self, Came *came, Py_ssize_t limit)
{
    const unsigned char *begin = came->bytes + came->whole;
    const Py_ssize_t here = came->size - came->whole;
    unsigned char *to;
    Py_ssize_t size;
    uint64_t length = 0;
    int found, is_long;

    came->header_size = Py_MIN(here, 2);
    memcpy(came->header, begin, (size_t)came->header_size);
    size = header_size(came);
    came->header_size = Py_MIN(here, size);
    if (size == 0) {
        return 0;
    }
    memcpy(came->header, begin, (size_t)came->header_size);
    found = complete_header(self, came, &length);
    is_long = length > CREDIT;
    /* Nobody waits while there is a message, and a long text is looked at as it comes. */
    if (found > 0 && length <= (uint64_t)limit && !(is_long && (came->whole > 0 || came->header[0] == WHOLE_TEXT))) {
        came->length = (Py_ssize_t)length;
        came->payload = PyBytes_FromStringAndSize(NULL, Py_MIN(came->length, Py_MAX(CREDIT, here)));
        if (came->payload == NULL) {
            PyErr_Clear(); /* memory is asked for once more, by who decodes it instead */
        }
    }
    if (came->payload == NULL) {
        if (came->header_size <= here) {
            came->header_size = 0; /* nothing more has come */
        }
        return found < 0 ? -1 : 0;
    }
    if (here > came->header_size) {
        came->filled = here - came->header_size;
        memcpy(PyBytes_AS_STRING(came->payload), begin + came->header_size, (size_t)came->filled);
    }
    if (is_long) {
        return wait_for_payload(self, came);
    }
    to = (unsigned char *)PyBytes_AS_STRING(came->payload);
    return fill_now(self, came, to, came->length, &came->filled) < 0 ? -1 : 0;
}

/* How long a message may be; what is no number is no limit. */
static Py_ssize_t
size_limit(const Borrowing *self)
{
    PyObject *limit = in_slot(self->connection, &self->slots[SIZE_LIMIT]);

    return limit != NULL && PyLong_Check(limit) ? PyNumber_AsSsize_t(limit, NULL) : PY_SSIZE_T_MAX;
}

/* Put on record that messages came, behind which nothing can fail. */
static void
count_messages(const Borrowing *self, PyObject *now, Py_ssize_t messages, Py_ssize_t wire, Py_ssize_t size)
{
    self->tally->received += size;
    self->tally->wire += wire;
    self->tally->messages += messages;
    put_in_slot(self->heartbeat, &self->slots[HEARD_AT], now);
    put_in_slot(self->inbox, &self->slots[HAS_HAD_MESSAGES], Py_True);
}

/* The message that was completed. */
static PyObject *
completed_message(const Came *came)
{
    if (came->header[0] == WHOLE_BINARY) {
        return Py_NewRef(came->payload);
    }
    return decode_text((const unsigned char *)PyBytes_AS_STRING(came->payload), came->filled);
}

/* Put all that came into a row, and add up its bytes; whether all of it is whole messages, -1 with an exception. */
static int
fill_row(Row *row, const Came *came, Py_ssize_t limit, Py_ssize_t *size)
{
    /* If not, more memory would be held than what lies in it is worth. */
    const int is_full = came->buffer != NULL && came->whole >= PyBytes_GET_SIZE(came->buffer) / 2;
    PyObject *data = is_full ? Py_NewRef(came->buffer)
                             : PyBytes_FromStringAndSize((const char *)came->bytes, came->whole);
    PyObject *last, *done;
    Py_ssize_t position = 0;
    const int status = data == NULL ? -1 : cut_into_row(row, data, came->whole, limit, &position, size);

    Py_XDECREF(data);
    if (status < 0 || position != came->whole || came->payload == NULL) {
        return status < 0 ? -1 : position == came->whole;
    }
    last = completed_message(came);
    if (last == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    *size += came->filled;
    done = row_append(row, last);
    Py_DECREF(last);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

/* Several messages: the first; the others go where they are taken without the mutex. It may be that somebody has the
   mutex and is about to close that way: then what is in it goes with it. */
static PyObject *
first_of_several(const Borrowing *self, const Came *came, PyObject *now)
{
    PyObject *express = in_slot(self->inbox, &self->slots[EXPRESS]), *message = NULL;
    Py_ssize_t size = 0;
    Row *row;

    if (!is_row(express) || in_slot(self->connection, &self->slots[CLOSING_ASKED]) == Py_True) {
        return NULL;
    }
    row = (Row *)PyType_GenericAlloc(Py_TYPE(express), 0);
    Py_INCREF(express);
    /* The way is looked at last: what is long was copied without the GIL. */
    if (row != NULL && fill_row(row, came, size_limit(self), &size) == 1
        && in_slot(self->inbox, &self->slots[EXPRESS]) == express && count_row((Row *)express) == 0) {
        message = take_message(row);
    }
    if (message != NULL) {
        const Py_ssize_t count = count_row(row) + 1;
        (void)take_over((Row *)express, row, count); /* an empty one takes all as it is, which cannot fail */
        count_messages(self, now, count, size_of_all(came), size);
    }
    Py_XDECREF(row);
    Py_DECREF(express);
    return message;
}

/* The only message that came, counted. */
static PyObject *
only_message(const Borrowing *self, const Came *came, PyObject *now)
{
    Py_ssize_t start = 0, size = came->filled;
    PyObject *message;

    if (came->payload != NULL) {
        message = completed_message(came);
    }
    else if (find_message(came->bytes, came->size, size_limit(self), 0, &start, &size)) {
        message = came->bytes[0] == WHOLE_TEXT ? decode_text(came->bytes + start, size)
                                               : copy_binary(came->bytes + start, size);
    }
    else { /* the limit is another one by now */
        message = NULL;
    }
    if (message != NULL) {
        count_messages(self, now, 1, size_of_all(came), size);
        if (size > CREDIT) { /* part of it may have been counted as unfinished */
            PyObject *nothing = PyLong_FromLong(0); /* there is one already, so this cannot fail */
            put_in_slot(self->connection, &self->slots[UNFINISHED], nothing);
            Py_DECREF(nothing);
        }
    }
    return message;
}

static int
are_several(const Came *came)
{
    return came->messages + (came->payload != NULL) > 1;
}

/* The only message that came, or the first of several, counted. NULL if something is no message, or in its way; NULL
   with an exception if the clock raises one. */
static PyObject *
take_what_came(const Borrowing *self, const Came *came)
{
    PyObject *now, *message = NULL;

    if (came->size == 0 || (came->whole < came->size && !is_complete(came))) {
        return NULL;
    }
    now = ask_clock(self);
    if (now == NULL) {
        return NULL;
    }
    if (is_alone(self) == 1) { /* behind the clock, which may be written in Python */
        message = are_several(came) ? first_of_several(self, came, now) : only_message(self, came, now);
    }
    if (message == NULL) {
        PyErr_Clear(); /* memory is asked for once more, by who decodes it instead */
    }
    Py_DECREF(now);
    return message;
}

/* Ask for so much with the next read: little as long as messages come alone. */
static int
ask_for(const Borrowing *self, const char *name)
{
    PyObject *most = PyObject_GetAttrString(self->reader, name);

    if (most == NULL) {
        return -1;
    }
    put_in_slot(self->reader, &self->slots[MOST], most);
    Py_DECREF(most);
    return 0;
}

/* Put all that came where the next who has the role finds it, and let go of it here; -1 with an exception, and it is
   lost. */
static int
keep_what_came(const Borrowing *self, Came *came)
{
    PyObject *object = join_what_came(came);
    PyObject *box = PyList_New(0); /* the one that is there is empty, or this reader would not be fresh */
    int status = object == NULL || box == NULL ? -1 : PyList_Append(box, object);

    if (status == 0) {
        if (came->payload != NULL && came->length > CREDIT) { /* its limit is the one that it has kept already */
            put_in_slot(self->reader, &self->slots[IS_ADMITTED], Py_True);
        }
        put_in_slot(self->reader, &self->slots[IS_FRESH], Py_False);
        put_in_slot(self->reader, &self->slots[BOX], box);
    }
    Py_CLEAR(came->payload);
    Py_XDECREF(box);
    Py_XDECREF(object);
    return status;
}

/* Go on in Python, which lets the role go, with an error that the connection broke with or NULL. */
static PyObject *
go_on(const Borrowing *self, PyObject *error)
{
    return PyObject_CallMethod(self->reader, "go_on", "O", error == NULL ? Py_None : error);
}

/* The same with the exception that is there: the system's, or that there is no memory for what was read. */
static PyObject *
go_on_broken(const Borrowing *self)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *got = go_on(self, error);

    Py_DECREF(error);
    return got;
}

/* The same for what came with an exception of a signal handler or the clock, which goes on all the same; NULL. Takes
   over the reference to it. */
static PyObject *
raise_when_broken(const Borrowing *self, PyObject *error)
{
    Py_XDECREF(go_on_broken(self));
    if (PyErr_Occurred()) {
        raise_in_context(error);
    }
    else {
        PyErr_SetRaisedException(error);
    }
    return NULL;
}

/* Keep what came, with such an exception, which goes on; NULL. */
static PyObject *
keep_for_others(const Borrowing *self, Came *came)
{
    PyObject *error = PyErr_GetRaisedException();

    if (keep_what_came(self, came) < 0) {
        return raise_when_broken(self, error);
    }
    PyErr_SetRaisedException(error);
    return NULL;
}

/* The first message of what came; or whatever Python makes of it. */
static PyObject *
make_of(const Borrowing *self, Came *came, Py_ssize_t most)
{
    PyObject *message = take_what_came(self, came);

    if (message != NULL) {
        /* One alone, or one that fills a read by itself, is followed by another such as a rule. */
        const int much = came->size >= LITTLE && (are_several(came) || (came->payload && came->filled < MUCH));
        if (much != (most > LITTLE) && ask_for(self, much ? "_much" : "_little") < 0) {
            PyErr_Clear(); /* for want of memory; then as much is asked for as now */
        }
        return message;
    }
    if (UNLIKELY(PyErr_Occurred() != NULL)) {
        return keep_for_others(self, came);
    }
    if (keep_what_came(self, came) < 0) {
        return go_on_broken(self);
    }
    if (ask_for(self, "_much") < 0) { /* several messages, or a long one: there may be more of that */
        return NULL;
    }
    if (UNLIKELY(came->error != 0)) {
        errno = came->error;
        PyErr_SetFromErrno(PyExc_OSError);
        return go_on_broken(self);
    }
    return go_on(self, NULL);
}

/* See how much of what came is whole messages. */
static void
count_whole(const Borrowing *self, Came *came)
{
    Py_ssize_t start, size;

    while (find_message(came->bytes, came->size, size_limit(self), came->whole, &start, &size)) {
        came->whole = start + size;
        came->messages++;
    }
}

/* Wait for at most so many bytes, and return the first message of them; or whatever Python makes of them. */
static PyObject *
read_into(const Borrowing *self, unsigned char *bytes, Py_ssize_t most, PyObject *buffer)
{
    Came came = {.bytes = bytes, .buffer = buffer};
    PyObject *got;

    came.size = wait_for_bytes(self, bytes, most);
    if (UNLIKELY(PyErr_Occurred() != NULL)) {
        return came.size < 0 ? NULL : keep_for_others(self, &came);
    }
    if (UNLIKELY(came.size < 0)) {
        PyErr_SetFromErrno(PyExc_OSError);
        return go_on_broken(self);
    }
    count_whole(self, &came);
    if (came.size == most && came.whole < most && complete_last(self, &came, size_limit(self)) < 0) {
        got = keep_for_others(self, &came);
    }
    else {
        got = make_of(self, &came, most);
    }
    Py_XDECREF(came.payload);
    return got;
}

/* How much is to be read; -1 with an exception. */
static Py_ssize_t
how_much(const Borrowing *self)
{
    PyObject *most = in_slot(self->reader, &self->slots[MOST]);
    Py_ssize_t size;

    if (most == NULL || !PyTuple_CheckExact(most) || PyTuple_GET_SIZE(most) != 1) {
        PyErr_SetString(PyExc_TypeError, "how much is read is a number in a tuple");
        return -1;
    }
    size = PyNumber_AsSsize_t(PyTuple_GET_ITEM(most, 0), PyExc_OverflowError);
    if (size > 0) {
        return size;
    }
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "one byte is read, at least");
    }
    return -1;
}

/* Read role, which may be gone afterwards. A plain socket. */
static PyObject *
read_alone(const Borrowing *self)
{
    unsigned char on_stack[LITTLE];
    unsigned char *bytes = on_stack;
    PyObject *buffer = NULL, *got;
    const Py_ssize_t size = how_much(self);

    if (size < 0) {
        return NULL;
    }
    if (size > LITTLE) {
        buffer = PyBytes_FromStringAndSize(NULL, size);
        if (buffer == NULL) {
            return NULL;
        }
        bytes = (unsigned char *)PyBytes_AS_STRING(buffer);
    }
    got = read_into(self, bytes, size, buffer);
    Py_XDECREF(buffer);
    return got;
}

/* TLS, by the steps that wssync.transport.stream.Unsealing has: in this order. */
enum { DIRECT, FETCHED, DECRYPTED, OPEN, UNSEALING_STEPS };

static int
is_unsealing(PyObject *steps)
{
    return PyTuple_Check(steps) && PyTuple_GET_SIZE(steps) == UNSEALING_STEPS
           && PyList_CheckExact(PyTuple_GET_ITEM(steps, FETCHED))
           && PyList_CheckExact(PyTuple_GET_ITEM(steps, DECRYPTED));
}

/* Whether the stream has nothing to tell before bytes are fetched; -1 with an exception. */
static int
is_clean(PyObject *stream, PyObject *steps)
{
    PyObject *clean;

    if (PyList_GET_SIZE(PyTuple_GET_ITEM(steps, FETCHED)) > 0
        || PyList_GET_SIZE(PyTuple_GET_ITEM(steps, DECRYPTED)) > 0) {
        return 0;
    }
    clean = PyObject_GetAttrString(stream, "is_clean");
    if (clean == NULL) {
        return -1;
    }
    Py_DECREF(clean);
    return clean == Py_True;
}

/* Give what was fetched to the stream; -1 with an exception, and it is lost. */
static int
give_to_stream(PyObject *stream, PyObject *steps, const unsigned char *bytes, Py_ssize_t size)
{
    PyObject *data = PyBytes_FromStringAndSize((const char *)bytes, size);
    int status = -1;

    if (data != NULL && PyObject_SetAttrString(stream, "is_clean", Py_False) == 0) {
        status = PyList_Append(PyTuple_GET_ITEM(steps, FETCHED), data);
    }
    Py_XDECREF(data);
    return status;
}

/* The plain text of what the stream was given, None if that is for Python to see; NULL with an exception. */
static PyObject *
open_what_came(const Borrowing *self, PyObject *steps)
{
    const Py_ssize_t limit = how_much(self);

    return limit < 0 ? NULL : PyObject_CallFunction(PyTuple_GET_ITEM(steps, OPEN), "n", limit);
}

/* The first message in a plain text; or whatever Python makes of it. */
static PyObject *
look_into(const Borrowing *self, PyObject *text)
{
    Came came = {.bytes = (const unsigned char *)PyBytes_AS_STRING(text), .size = PyBytes_GET_SIZE(text),
                 .buffer = text};

    count_whole(self, &came);
    return make_of(self, &came, LITTLE);
}

/* The same as `read_alone`, with TLS. */
static PyObject *
read_sealed(const Borrowing *self, PyObject *stream, PyObject *steps)
{
    unsigned char bytes[LITTLE];
    const int clean = is_clean(stream, steps);
    const ssize_t size = clean > 0 ? wait_for_bytes(self, bytes, LITTLE) : -1;
    PyObject *error = PyErr_GetRaisedException(), *text, *got;

    if (clean == 0) {
        return go_on(self, NULL);
    }
    if (UNLIKELY(size < 0)) {
        if (error != NULL) {
            PyErr_SetRaisedException(error);
            return NULL;
        }
        PyErr_SetFromErrno(PyExc_OSError);
        return go_on_broken(self);
    }
    if (give_to_stream(stream, steps, bytes, size) < 0) {
        return error == NULL ? go_on_broken(self) : raise_when_broken(self, error);
    }
    if (UNLIKELY(error != NULL)) {
        PyErr_SetRaisedException(error);
        return NULL;
    }
    text = open_what_came(self, steps);
    if (text == NULL) {
        return NULL;
    }
    got = PyBytes_CheckExact(text) ? look_into(self, text) : go_on(self, NULL);
    Py_DECREF(text);
    return got;
}

/* Read role, which may be gone afterwards. */
static PyObject *
read_one(const Borrowing *self)
{
    PyObject *steps = in_slot(self->reader, &self->slots[UNSEALING]);
    PyObject *stream = in_slot(self->reader, &self->slots[STREAM]), *got;

    if (steps == NULL || steps == Py_None) {
        return read_alone(self);
    }
    if (stream == NULL || !is_unsealing(steps)) {
        PyErr_SetString(PyExc_TypeError, "these are not the steps of a stream");
        return NULL;
    }
    Py_INCREF(steps);
    Py_INCREF(stream);
    got = read_sealed(self, stream, steps);
    Py_DECREF(stream);
    Py_DECREF(steps);
    return got;
}

static void
let_go(const Borrowing *self)
{
    put_in_slot(self->reader, &self->slots[LENT], Py_False);
    if (UNLIKELY(leave_lock(self->lock) < 0)) {
        PyErr_Clear(); /* somebody has let it go in a signal handler: then there is nothing to do */
    }
}

/* Let the role go after an exception, which goes on: what was begun the next one finishes. */
static void
leave_struck(const Borrowing *self)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *noted;

    put_in_slot(self->reader, &self->slots[IS_FRESH], Py_False); /* before another has the role: see the twin */
    let_go(self);
    noted = PyObject_CallMethod(self->reader, "_note_interrupt", NULL);
    if (noted == NULL) {
        raise_in_context(error);
        return;
    }
    Py_DECREF(noted);
    PyErr_SetRaisedException(error);
}

/* After an exception, which goes on: what was got, and is let go of here, is the next receive's. */
static void
give_back(PyObject *reader, PyObject *got)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *done = PyObject_CallMethod(reader, "give_back", "O", got);

    Py_DECREF(got);
    if (done == NULL) {
        raise_in_context(error);
        return;
    }
    Py_DECREF(done);
    PyErr_SetRaisedException(error);
}

/* Let the role go with a message, or None; the same, NULL with an exception: then it is given back. */
static PyObject *
leave_with(const Borrowing *self, PyObject *got)
{
    PyObject *woken;

    let_go(self);
    if (in_slot(self->reader, &self->slots[ASLEEP]) != Py_True) {
        return got;
    }
    woken = PyObject_CallMethod(self->connection, "wake", NULL);
    if (woken != NULL) {
        Py_DECREF(woken);
        return got;
    }
    give_back(self->reader, got);
    return NULL;
}

/* Read role: what comes of a receive, which lets the role go. */
static PyObject *
receive_in_role(const Borrowing *self)
{
    const Slot *slots = self->slots;
    PyObject *got;
    int alone;

    put_in_slot(self->reader, &slots[LENT], Py_True);
    self->tally->turns++;
    alone = is_alone(self);
    if (alone <= 0) {
        got = alone < 0 ? NULL : Py_NewRef(Py_None);
    }
    else if (in_slot(self->reader, &slots[IS_FRESH]) != Py_True
             || in_slot(self->reader, &slots[UNSETTLED]) == Py_True) {
        got = go_on(self, NULL); /* something is left of earlier reads */
    }
    else {
        got = read_one(self);
    }
    if (!lock_is_mine(self->lock)) { /* it was Python that let it go */
        return got;
    }
    if (UNLIKELY(got == NULL)) {
        leave_struck(self);
        return NULL;
    }
    return leave_with(self, got);
}

/* What `Reader.borrow` says without a limit of time. */
static PyObject *
receive_alone(Borrower *self, PyObject *reader)
{
    Borrowing borrowing;
    PyObject *got;
    int taken;

    if (UNLIKELY(!self->is_whole)) {
        PyErr_SetString(PyExc_TypeError, "this Borrower was not made whole");
        return NULL;
    }
    if (begin_borrowing(&borrowing, self->slots, reader) < 0) {
        return NULL;
    }
    taken = take_lock(borrowing.lock);
    if (UNLIKELY(taken == MINE)) {
        PyErr_SetString(
            PyExc_RuntimeError, "receive() in a signal handler that interrupted a receive() of this task");
        got = NULL;
    }
    else {
        got = taken == TAKEN ? receive_in_role(&borrowing) : Py_NewRef(Py_None);
    }
    end_borrowing(&borrowing);
    return got;
}

PyDoc_STRVAR(
    borrower_receive_doc,
    "receive(reader, got, /)\n--\n\n"
    "The compiled form of wssync.engine.reader.Reader.borrow, without a limit of time.\n\n"
    "What comes is appended to the list `got`, None is not: an exception from outside, which may come before a result\n"
    "is stored, finds it there.");

static PyObject *
borrower_receive(Borrower *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *got;

    if (check_count("receive", count, 2, 2) < 0) {
        return NULL;
    }
    if (UNLIKELY(!PyList_CheckExact(args[1]))) {
        PyErr_SetString(PyExc_TypeError, "what comes is put in a list");
        return NULL;
    }
    got = receive_alone(self, args[0]);
    if (got == NULL) {
        return NULL;
    }
    if (got != Py_None && UNLIKELY(PyList_Append(args[1], got) < 0)) {
        give_back(args[0], got);
        return NULL;
    }
    Py_DECREF(got);
    Py_RETURN_NONE;
}

/* Whether the objects that are looked at for one slot have the others too. */
static int
belong_together(const Slot *slots)
{
    for (int i = 0; i <= STREAM; i++) {
        if (!PyType_IsSubtype(slots[LENT].owner, slots[i].owner)) {
            return 0;
        }
    }
    return PyType_IsSubtype(slots[TALLY].owner, slots[SIZE_LIMIT].owner)
           && PyType_IsSubtype(slots[TALLY].owner, slots[CLOSING_ASKED].owner)
           && PyType_IsSubtype(slots[TALLY].owner, slots[UNFINISHED].owner)
           && PyType_IsSubtype(slots[EXPRESS].owner, slots[HAS_HAD_MESSAGES].owner);
}

static int
borrower_init(Borrower *self, PyObject *args, PyObject *keywords)
{
    if ((keywords != NULL && PyDict_GET_SIZE(keywords) > 0) || PyTuple_GET_SIZE(args) != SLOTS || self->is_whole) {
        PyErr_Format(PyExc_TypeError, "Borrower() is called once, with %d slots", SLOTS);
        return -1;
    }
    for (int i = 0; i < SLOTS; i++) {
        PyObject *member = PyTuple_GET_ITEM(args, i);
        if (!read_slot(member, &self->slots[i])) {
            PyErr_Format(PyExc_TypeError, "a slot of a class, not %.100s", Py_TYPE(member)->tp_name);
            return -1;
        }
    }
    if (!belong_together(self->slots)) {
        PyErr_SetString(PyExc_TypeError, "these slots are not of the classes that they should be of");
        return -1;
    }
    self->is_whole = 1;
    return 0;
}

static int
borrower_traverse(Borrower *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < SLOTS; i++) {
        Py_VISIT(self->slots[i].owner);
    }
    return 0;
}

static int
borrower_clear(Borrower *self)
{
    self->is_whole = 0;
    for (int i = 0; i < SLOTS; i++) {
        Py_CLEAR(self->slots[i].owner);
    }
    return 0;
}

static void
borrower_dealloc(Borrower *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    (void)borrower_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    borrower_doc,
    "Borrower(*slots)\n--\n\nReads for those who receive, on sockets, with TLS too: one for all connections.\n\n"
    "The slots are those of wssync.engine.reader, in its order.");

static PyMethodDef borrower_methods[] = {
    {"receive", FASTCALL(borrower_receive), METH_FASTCALL, borrower_receive_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot borrower_slots[] = {
    {Py_tp_doc, (void *)borrower_doc},
    {Py_tp_init, SLOT(borrower_init)},
    {Py_tp_traverse, SLOT(borrower_traverse)},
    {Py_tp_clear, SLOT(borrower_clear)},
    {Py_tp_dealloc, SLOT(borrower_dealloc)},
    {Py_tp_methods, borrower_methods},
    {0, NULL},
};

static PyType_Spec borrower_spec = {
    .name = "wssync._speedups.Borrower",
    .basicsize = sizeof(Borrower),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = borrower_slots,
};
#endif

/* A task's `send` and `receive`

   They stay the functions of Python that they are, for whoever looks at them, wraps or overrides them, traces or debugs
   them. But called in their plainest form, with the short way open, they do all from here: what the interpreter needs
   to begin and end a function with defaults is more than what there is to do. Everything else is left to the functions.
   (Tools that use `sys.monitoring`, as cProfile does, see a call, and no function that begins.) */

#if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED) /* without a GIL, slots are not read like this */
#define CAN_SHORTEN

/* From a task to what is open: the slots to go through, each of an object that has the one before. */
#define STEPS 3

/* Of the main interpreter, in which alone functions are shortened: others may not share its objects. */
static Slot to_outbox[STEPS], to_inbox[STEPS], to_borrower[STEPS];
static PyObject *send_code, *receive_code; /* borrowed, to be compared alone */
static vectorcallfunc in_python;

/* What lies behind so many of these slots, a borrowed reference; NULL where there is nothing, or something else. */
static PyObject *
go_along(PyObject *object, const Slot *slots, int steps)
{
    for (int i = 0; i < steps; i++) {
        if (!has_slot(object, &slots[i])) {
            return NULL;
        }
        object = in_slot(object, &slots[i]);
    }
    return object;
}

/* The same at the end of a way. */
static PyObject *
follow(PyObject *object, const Slot *slots)
{
    return go_along(object, slots, STEPS);
}

/* Whether the function is still the one that was shortened, and nobody watches what is called: a debugger or a tracer
   means to see the function, whoever has given it other code means that. */
static int
may_go_past(PyObject *function, PyObject *code)
{
    const PyThreadState *thread = PyThreadState_Get();

    return ((PyFunctionObject *)function)->func_code == code && thread->c_tracefunc == NULL
           && thread->c_profilefunc == NULL;
}

/* What `send_at_once` says, False if the way is closed or not compiled; NULL with an exception. */
static PyObject *
send_by(PyObject *express, PyObject *message)
{
    PyObject *payload, *result;

    if (express == NULL || Py_TYPE(express)->tp_dealloc != (destructor)express_dealloc) {
        return Py_NewRef(Py_False);
    }
    payload = PyBytes_CheckExact(message) ? Py_NewRef(message) : PyUnicode_AsUTF8String(message);
    if (payload == NULL) {
        return NULL;
    }
    Py_INCREF(express);
    result = send_alone((Express *)express, PyBytes_CheckExact(message) ? WHOLE_BINARY : WHOLE_TEXT, payload);
    Py_DECREF(express);
    Py_DECREF(payload);
    return result;
}

/* Whether a message is text or bytes themselves, and few enough: what is long would be made UTF-8 twice. */
static int
is_short(PyObject *message)
{
    return PyBytes_CheckExact(message)
               ? PyBytes_GET_SIZE(message) <= LONG_PAYLOAD
               : PyUnicode_CheckExact(message) && PyUnicode_GET_LENGTH(message) <= LONG_PAYLOAD;
}

static PyObject *
send_shortly(PyObject *function, PyObject *const *args, size_t count, PyObject *keywords)
{
    PyObject *sent;

    if (PyVectorcall_NARGS(count) != 2 || keywords != NULL || !is_short(args[1])
        || !may_go_past(function, send_code)) {
        return in_python(function, args, count, keywords);
    }
    sent = send_by(follow(args[0], to_outbox), args[1]);
    if (sent == Py_True) {
        Py_SETREF(sent, Py_NewRef(Py_None));
    }
    else if (sent == Py_False) {
        Py_SETREF(sent, in_python(function, args, count, keywords));
    }
    else if (sent != NULL) { /* it has begun to leave */
        PyObject *connection = PyObject_GetAttrString(args[0], "_connection");
        if (connection == NULL) {
            Py_CLEAR(sent);
        }
        else {
            Py_SETREF(sent, PyObject_CallMethod(connection, "wait_until_sent", "OO", sent, Py_None));
            Py_DECREF(connection);
        }
    }
    return sent;
}

/* Whether something has struck this thread meanwhile, which would take with it what a call from Python returns: then it
   is raised. */
static int
is_struck(PyObject *reader)
{
    PyObject *noted;

    if (PyErr_CheckSignals() < 0) {
        return 1;
    }
    if (PyThreadState_Get()->async_exc == NULL) {
        return 0;
    }
    noted = PyObject_CallMethod(reader, "be_struck", NULL); /* raises it as it begins */
    Py_XDECREF(noted);
    return noted == NULL;
}

/* Read by oneself: what `Reader.borrow` says. None too where that cannot be, or not from here. */
static PyObject *
borrow_by(PyObject *task)
{
    PyObject *reader = go_along(task, to_borrower, STEPS - 1);
    PyObject *borrower = go_along(reader, to_borrower + STEPS - 1, 1);
    PyObject *got;

    if (borrower == NULL || Py_TYPE(borrower)->tp_dealloc != (destructor)borrower_dealloc) {
        return Py_NewRef(Py_None);
    }
    Py_INCREF(reader); /* both may go with the connection */
    Py_INCREF(borrower);
    got = receive_alone((Borrower *)borrower, reader);
    if (got != NULL && got != Py_None && UNLIKELY(is_struck(reader))) {
        give_back(reader, got);
        got = NULL;
    }
    Py_DECREF(borrower);
    Py_DECREF(reader);
    if (got != NULL && got != Py_None && !PyUnicode_CheckExact(got) && !PyBytes_CheckExact(got)) { /* a `Waiter` */
        PyObject *connection = PyObject_GetAttrString(task, "_connection");
        PyObject *message = connection == NULL
                                ? NULL
                                : PyObject_CallMethod(connection, "receive_in_turn", "OOO", got, Py_None, Py_None);
        Py_XDECREF(connection);
        Py_SETREF(got, message);
    }
    return got;
}

static PyObject *
receive_shortly(PyObject *function, PyObject *const *args, size_t count, PyObject *keywords)
{
    PyObject *ready = NULL, *message = NULL;

    if (PyVectorcall_NARGS(count) == 1 && keywords == NULL && may_go_past(function, receive_code)) {
        ready = follow(args[0], to_inbox);
    }
    if (ready == NULL || ready == Py_None) {
        return in_python(function, args, count, keywords);
    }
    if (is_row(ready)) {
        message = take_message((Row *)ready); /* which runs nothing that could replace it */
    }
    if (message == NULL && !PyErr_Occurred()) {
        message = borrow_by(args[0]);
        if (message == Py_None) {
            Py_SETREF(message, in_python(function, args, count, keywords));
        }
    }
    return message;
}

static int
read_slots(PyObject *path, Slot *slots)
{
    if (!PyTuple_CheckExact(path) || PyTuple_GET_SIZE(path) != STEPS) {
        PyErr_Format(PyExc_TypeError, "a way is a tuple of %d slots", STEPS);
        return -1;
    }
    for (int i = 0; i < STEPS; i++) {
        PyObject *member = PyTuple_GET_ITEM(path, i);
        if (!read_slot(member, &slots[i])) {
            PyErr_Format(PyExc_TypeError, "a slot of a class, not %.100s", Py_TYPE(member)->tp_name);
            return -1;
        }
    }
    return 0;
}

PyDoc_STRVAR(
    shorten_doc,
    "shorten(send, outbox, receive, inbox, borrower, /)\n--\n\n"
    "Let these methods of tasks go the short ways from here, as far as that is all there is to do.\n\n"
    "The ways are the slots that lead from a task to what is open, `Outbox.express` and `Inbox.express`, and by its\n"
    "reader to what reads for it. Does nothing in an interpreter that is not the main one.");

static PyObject *
shorten(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    if (check_count("shorten", count, 5, 5) < 0) {
        return NULL;
    }
    if (!PyFunction_Check(args[0]) || !PyFunction_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "only functions can be shortened");
        return NULL;
    }
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        Py_RETURN_NONE;
    }
    if (read_slots(args[1], to_outbox) < 0 || read_slots(args[3], to_inbox) < 0
        || read_slots(args[4], to_borrower) < 0) {
        return NULL;
    }
    if (in_python == NULL) {
        in_python = ((PyFunctionObject *)args[0])->vectorcall;
    }
    send_code = ((PyFunctionObject *)args[0])->func_code;
    receive_code = ((PyFunctionObject *)args[2])->func_code;
    PyFunction_SetVectorcall((PyFunctionObject *)args[0], send_shortly);
    PyFunction_SetVectorcall((PyFunctionObject *)args[2], receive_shortly);
    Py_RETURN_NONE;
}
#endif

#endif

/* The module */

static PyMethodDef methods[] = {
    {"cut_messages", FASTCALL(cut_messages), METH_FASTCALL, cut_messages_doc},
    {"encode_frame", FASTCALL(encode_frame), METH_FASTCALL, encode_frame_doc},
    {"mask", FASTCALL(mask), METH_FASTCALL, mask_doc},
    {"mask_into", FASTCALL(mask_into), METH_FASTCALL, mask_into_doc},
#ifdef HAVE_SOCKETS
#ifdef CAN_SHORTEN
    {"shorten", FASTCALL(shorten), METH_FASTCALL, shorten_doc},
#endif
#endif
    {NULL, NULL, 0, NULL},
};

static PyType_Spec *const types[] = {
#ifdef HAVE_SOCKETS
    &express_spec,
    &lock_spec,
#ifdef CAN_BORROW
    &borrower_spec,
    &tally_spec,
#endif
#endif
    &row_spec,
};

static int
add_types(PyObject *module)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(types); i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, types[i], NULL);
        const int status = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);

        Py_XDECREF(type);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, SLOT(add_types)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(
    module_doc,
    "The compiled forms of four functions of wssync.protocol.frames, rows of messages, and the short ways to and from\n"
    "sockets.");

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "wssync._speedups",
    .m_doc = module_doc,
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&definition);
}
