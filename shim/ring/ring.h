/*
 * A thread's io_uring: the only place that knows liburing. Small, its descriptor hidden (registered with the ring,
 * then closed: Linux 5.18), restricted to what it is for, with a sparse table of registered files if it writes and,
 * where memory may be locked, fixed buffers. Not inherited by a child of fork.
 *
 * A ring belongs to the thread that made it: only that thread prepares and reaps. The one helper thread that was made a
 * guest submits. Two things more may be done by others, under the lock that guards the write-behind log whose work is
 * in flight: looking at completions (ring_completed), and, by the guest, forgetting a file.
 */
#ifndef URINGSHIM_RING_RING_H
#define URINGSHIM_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ring;

enum { RING_ENTRIES = 64, RING_TURN_ENTRIES = 128, RING_FILES = 16 };

/*
 * Writing and syncing, of registered files, in the background if need be. Or only what is under way as soon as it has
 * been submitted (RING_NOWAIT), of files named by their number, which no request outlives: writing so, reading, and
 * receiving and sending on sockets.
 */
enum ring_use { RING_TO_WRITE, RING_TO_WRITE_AT_ONCE, RING_TO_READ, RING_TO_TURN };

/*
 * Polling by the kernel (io_uring_setup(2)). QUEUE: a kernel thread, one of the process's threads, looks for requests
 * and sleeps when there have been none for RING_POLL_IDLE_MS. DEVICE: completions are looked for at the device; such a
 * ring is for direct writes alone, and any of them may be refused with -EOPNOTSUPP.
 */
enum { RING_POLL_QUEUE = 1, RING_POLL_DEVICE = 2, RING_POLL_IDLE_MS = 20 };

/*
 * Makes a ring with fixed buffers over `buffers` (which must outlive it). `host` is called, with the ring's
 * descriptor still open, to let the helper thread register it as a guest; it returns the guest's index or -errno.
 * 0 and *out, or -errno. Without permission to lock memory for buffers the ring works with plain ones.
 * -EOPNOTSUPP: the kernel would hold on to a file that has left the table, or can't change the table of a ring whose
 * descriptor is closed: no RING_TO_WRITE here, but RING_TO_WRITE_AT_ONCE.
 */
int ring_create(struct ring **out, enum ring_use use, const struct iovec *buffers, unsigned count, unsigned polling,
                int (*host)(int ring_fd));
/* Steps of it, for who tries what the kernel grants. After the second, only what the library uses may be asked. */
struct io_uring;
int ring_set_up(struct io_uring *uring, unsigned entries, unsigned polling);
int ring_make_table(struct io_uring *uring);
int ring_restrict(struct io_uring *uring, enum ring_use use);
bool ring_has_table(const struct ring *ring);
unsigned ring_polling(const struct ring *ring);
/* QUEUE: microseconds of processor time that the kernel's thread used since this was last asked. */
uint64_t ring_poller_us(struct ring *ring);
/*
 * By its owner. Nothing may be in flight, nor any file in the table. Gives back the memory; the kernel's part ends with
 * the thread: the kernel tells each thread that used a ring of its end by interrupting it, some time later
 * (io_ring_exit_work in io_uring/io_uring.c), and a call of the program's that sleeps would fail with EINTR. A thread
 * can have 16 rings in all (io_uring_register(2), IORING_REGISTER_RING_FDS).
 */
void ring_abandon(struct ring *ring);

/*
 * By its owner, and when it has no guest any more: the same for a ring with RING_POLL_QUEUE, whose kernel thread is
 * gone on return, or a second later. So are the interruptions, for it ends after them. `lend` gives the descriptor of
 * some ring, made by another thread: before Linux 6.3 there must be one to leave by, and a maker is interrupted.
 */
void ring_end(struct ring *ring, int (*lend)(void));

/* By the helper thread: registers a ring's descriptor for itself. Its index, or -errno. */
int ring_guest_register(int ring_fd);
void ring_guest_leave(struct ring *ring);
/* A ring that does nothing: its descriptor, for who closes it at once, or -errno. */
int ring_bare(void);

/*
 * The slot of the file table for an open file description, named by a serial number that no other ever had; `fd` is
 * put there, in place of the one least recently used, if it isn't there yet. A slot, or -errno. `evicted` gets the
 * serial number whose place was taken, or 0. Without a table, `fd` stands for the file.
 */
int ring_file(struct ring *ring, uint64_t serial, int fd, uint64_t *evicted);
bool ring_has_file(const struct ring *ring, uint64_t serial);
/*
 * Empties one slot, or all. By the helper thread: where it submitted, what still holds the file is freed in its name
 * (io_req_task_complete in io_uring/io_uring.c), and has been when it comes back from this.
 */
void ring_forget_file(struct ring *ring, uint64_t serial);
void ring_forget_all(struct ring *ring);

/* Room for `count` more requests in one submission? */
bool ring_room(const struct ring *ring, unsigned count);
/*
 * Prepare a request on a registered file. RING_LINKED: the next one starts only after this one succeeded in full
 * (io_uring_enter(2), IOSQE_IO_LINK). RING_NOWAIT: it is under way when it has been submitted, or has failed with
 * -EAGAIN (RWF_NOWAIT); no worker does it later. Offset -1 means the file position. The buffer is used as a fixed one
 * if it is.
 */
enum ring_how { RING_PLAIN, RING_LINKED, RING_NOWAIT };
void ring_prepare_write(struct ring *ring, int file, const void *buffer, uint32_t length, int64_t offset,
                        enum ring_how how, uint64_t tag);
/*
 * The same to a stream, named by its number, without waiting: all of it, or, where it may be short at all, what goes
 * in. With SIGPIPE for the thread that submits, or, from Linux 6.18 on, without.
 */
void ring_prepare_stream(struct ring *ring, int fd, const void *buffer, uint32_t length, bool signals, bool linked,
                         uint64_t tag);
/* By the owner: submits what was prepared, of which nothing may need a worker, and returns when all of it has
 * completed. */
void ring_complete(struct ring *ring);
/*
 * A ring that reads: the number must stay what it is until the request has been submitted. It is under way then, or has
 * failed with -EAGAIN, or -EOPNOTSUPP (RWF_NOWAIT): no worker does it later, which would hold the file for a moment
 * after it has completed.
 */
void ring_prepare_read(struct ring *ring, int fd, void *buffer, uint32_t length, int64_t offset, uint64_t tag);
/*
 * A ring for turns: requests that never wait, done in order when they are submitted (MSG_DONTWAIT in recv(2)). Looked
 * at and left there; taken; or, on TCP, taken without being copied (MSG_TRUNC in tcp(7)).
 */
enum ring_receive { RING_PEEK, RING_RECEIVE, RING_DISCARD };
void ring_prepare_receive(struct ring *ring, int fd, void *buffer, uint32_t length, enum ring_receive how,
                          uint64_t tag);
/* One of the events must be there, or it would wait: the answer is all that are (poll(2)). */
void ring_prepare_poll(struct ring *ring, int fd, unsigned events, uint64_t tag);
/* Without SIGPIPE. */
void ring_prepare_send(struct ring *ring, int fd, const void *buffer, uint32_t length, uint64_t tag);
void ring_prepare_sync(struct ring *ring, int file, bool data_only, uint64_t tag);

/*
 * Submitting in two halves: the owner publishes what it prepared, the helper thread submits that many as a guest. Work
 * that the kernel punts is done by workers of the thread that submits, and completed by interrupting that thread: so
 * the program's threads get no workers, which would count as threads of the program (unshare(2), "EINVAL"), and no
 * EINTR from calls of theirs that sleep (task_work_add in kernel/task_work.c raises TIF_NOTIFY_SIGNAL even after the
 * work was done).
 */
unsigned ring_publish(struct ring *ring);
void ring_guest_submit(struct ring *ring, unsigned count);
/*
 * Or by the helper thread alone, while the owner waits: what was prepared is published and submitted one by one, as
 * long as each is under way then. How many were.
 */
unsigned ring_guest_submit_each(struct ring *ring);
/*
 * The same two by the owner of a ring with RING_POLL_QUEUE: the kernel's thread submits. True: it slept, and had to be
 * woken by a system call.
 */
bool ring_submit(struct ring *ring);
unsigned ring_submit_each(struct ring *ring);
/*
 * Without a table, by the owner: returns when the kernel's polling thread has let go of the files of the requests that
 * have completed. (The helper thread has when it comes back from submitting, or is asked for anything after that.)
 */
void ring_let_go(struct ring *ring);
/* By the owner: what was prepared and not submitted is forgotten. */
void ring_drop(struct ring *ring);
/*
 * By the owner: waits for `wait` completions to be there. A signal may end that early: look with ring_completed. True:
 * by a system call.
 */
bool ring_wait(struct ring *ring, unsigned wait);

/* Looks for the completion of `tag` without taking it out. Any thread, under the log's lock. */
bool ring_completed(const struct ring *ring, uint64_t tag, int32_t *result);
/*
 * By the owner: takes out the completion that came first. False: there is none. A ring with RING_POLL_DEVICE isn't
 * looked at as long as there are completions to take (io_iopoll_check in io_uring/io_uring.c).
 */
bool ring_take(struct ring *ring, uint64_t *tag, int32_t *result);
/* By the owner: takes out everything that has completed. */
void ring_drain(struct ring *ring);

#endif
