/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/str.h"

/* Longer writes to a pipe may interleave. */
#define LINE_MAX_BYTES PIPE_BUF

static struct {
	int journal_fd; /* -1: stderr is not the journal */
	struct sockaddr_un journal;
	atomic_int max_level;
	atomic_bool is_json;
	atomic_uint_fast64_t n_lost;   /* since the start */
	atomic_uint_fast64_t n_untold; /* of them, since it was last told about */
} the_log = {.journal_fd = -1, .max_level = LOG_LEVEL_INFO};

static bool stderr_is_journal(void)
{
	struct str inode = str_of(getenv("JOURNAL_STREAM"));
	struct str device = str_split(&inode, ':');
	uint64_t want_device, want_inode;
	struct stat st;

	return str_to_u64(device, &want_device) == 0 && str_to_u64(inode, &want_inode) == 0 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == want_device &&
	       st.st_ino == want_inode;
}

void log_init(const char *journal_socket)
{
	assert(strlen(journal_socket) < sizeof(the_log.journal.sun_path));
	if (the_log.journal_fd >= 0)
		close(the_log.journal_fd);
	the_log.journal_fd = -1;
	the_log.journal = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(the_log.journal.sun_path, journal_socket, strlen(journal_socket));
	if (stderr_is_journal())
		/* Without it stderr does. */
		the_log.journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&the_log.max_level, (int)level, memory_order_relaxed);
}

void log_set_json(bool json)
{
	atomic_store_explicit(&the_log.is_json, json, memory_order_relaxed);
}

bool log_is_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&the_log.max_level, memory_order_relaxed);
}

uint64_t log_lost_total(void)
{
	return atomic_load_explicit(&the_log.n_lost, memory_order_relaxed);
}

/* libsystemd's sd_journal_sendv() would wait for a journald that hangs, and with it a worker. */
static int send_to_journal(const struct log_entry *entry)
{
	char datagram[LOG_ENTRY_MAX_BYTES];
	size_t n = log_line_journal(entry, datagram, sizeof(datagram));
	ssize_t sent;

	do
		sent = sendto(the_log.journal_fd, datagram, n, MSG_NOSIGNAL,
			      (const struct sockaddr *)&the_log.journal, sizeof(the_log.journal));
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static int write_to_stderr(const struct log_entry *entry)
{
	char line[LINE_MAX_BYTES];
	size_t n = atomic_load_explicit(&the_log.is_json, memory_order_relaxed)
			   ? log_line_json(entry, line, sizeof(line))
			   : log_line_text(entry, line, sizeof(line));
	/* A pipe has room for a whole line then, unless another thread takes it in between. It is
	 * shared with others, so it cannot be made to refuse by itself. */
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t written;

	if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
		return -EAGAIN;
	do
		written = write(STDERR_FILENO, line, n);
	while (written < 0 && errno == EINTR);
	return written < 0 ? -errno : 0;
}

static int write_entry(const struct log_entry *entry)
{
	int r;

	if (the_log.journal_fd < 0)
		return write_to_stderr(entry);
	r = send_to_journal(entry);
	/* One that is too slow must not be waited for on its other socket, either; one that is
	 * nowhere to be seen from here (a chroot) may be behind it. */
	return r == 0 || r == -EAGAIN || r == -ENOBUFS ? r : write_to_stderr(entry);
}

static void lose(uint64_t n)
{
	atomic_fetch_add_explicit(&the_log.n_untold, n, memory_order_relaxed);
}

/* It can be written again: how many were lost before. */
static void tell_lost(void)
{
	char count[24], text[128];
	const struct log_field field = {NEXUSD_FIELD_COUNT, count};
	struct log_entry entry = {
		.level = message_level(MESSAGE_LOST),
		.message_id = message_id(MESSAGE_LOST),
		.fields = &field,
		.n_fields = 1,
	};
	uint64_t n;

	if (atomic_load_explicit(&the_log.n_untold, memory_order_relaxed) == 0)
		return;
	n = atomic_exchange_explicit(&the_log.n_untold, 0, memory_order_relaxed);
	if (n == 0)
		return;
	snprintf(count, sizeof(count), "%llu", (unsigned long long)n);
	snprintf(text, sizeof(text), "%s messages were lost: the log was not read fast enough",
		 count);
	entry.text = str_of(text);
	if (write_entry(&entry) < 0)
		lose(n);
}

static void write_formatted(enum log_level level, const char *id, const struct log_field *fields,
			    size_t n_fields, const char *format, va_list ap) PRINTF_LIKE(5, 0);

static void write_formatted(enum log_level level, const char *id, const struct log_field *fields,
			    size_t n_fields, const char *format, va_list ap)
{
	/* One byte more than is kept shows whether the cut falls on a character boundary. */
	char raw[LOG_TEXT_MAX_BYTES + 2];
	struct log_entry entry = {level, id, {NULL, 0}, fields, n_fields};
	int saved_errno = errno, n = vsnprintf(raw, sizeof(raw), format, ap);

	assert(n_fields <= LOG_MAX_FIELDS);
	entry.text = n < 0 ? str_of(format) : str_of(raw);
	entry.text.n = utf8_cut(entry.text, LOG_TEXT_MAX_BYTES);
	if (write_entry(&entry) == 0) {
		tell_lost();
	} else {
		atomic_fetch_add_explicit(&the_log.n_lost, 1, memory_order_relaxed);
		lose(1);
	}
	errno = saved_errno;
}

void log_write(enum log_level level, const struct log_field *fields, size_t n_fields,
	       const char *format, ...)
{
	va_list ap;

	if (!log_is_enabled(level))
		return;
	va_start(ap, format);
	write_formatted(level, NULL, fields, n_fields, format, ap);
	va_end(ap);
}

void log_event_with(enum message message, const struct log_field *fields, size_t n_fields,
		    const char *format, ...)
{
	va_list ap;

	if (!log_is_enabled(message_level(message)))
		return;
	va_start(ap, format);
	write_formatted(message_level(message), message_id(message), fields, n_fields, format, ap);
	va_end(ap);
}
