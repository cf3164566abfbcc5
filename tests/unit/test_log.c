/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/jsonscan.h"
#include "base/str.h"
#include "tests/tap.h"

static char journal_path[] = "/tmp/nexusd-test-XXXXXX";
static int journal_fd = -1;

/* Stands in for journald. */
static void open_journal(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = mkstemp(journal_path);

	if (fd < 0 || close(fd) < 0 || unlink(journal_path) < 0)
		abort();
	memcpy(address.sun_path, journal_path, sizeof(journal_path));
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (journal_fd < 0 || bind(journal_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		abort();
}

static void close_journal(void)
{
	close(journal_fd);
	unlink(journal_path);
}

/* The next message it was sent; "" when there is none. */
static const char *received(void)
{
	static char text[16384];
	ssize_t n = recv(journal_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int captured = -1; /* stands in for stderr */

static void capture(void)
{
	captured = memfd_create("stderr", MFD_CLOEXEC);
	if (captured < 0 || dup2(captured, STDERR_FILENO) < 0)
		abort();
}

/* What was written since the last call, without the timestamp when `skip_time`. */
static const char *written(bool skip_time)
{
	static char text[8192];
	ssize_t n = pread(captured, text, sizeof(text) - 1, 0);
	const char *p = text;

	text[n > 0 ? n : 0] = '\0';
	if (ftruncate(captured, 0) < 0 || lseek(captured, 0, SEEK_SET) < 0)
		abort();
	if (skip_time && strlen(text) > 25)
		p += 25;
	return p;
}

static bool has_shape(const char *text, const char *shape)
{
	for (; *shape; text++, shape++)
		if (*shape == '9' ? *text < '0' || *text > '9' : *text != *shape)
			return false;
	return true;
}

static void test_levels(void)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
	enum log_level level;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ok(log_level_parse(names[i], &level) == 0 && level == (enum log_level)i,
		   "%s is a level", names[i]);
		is_text(log_level_name((enum log_level)i), names[i], "and has its name");
	}
	level = LOG_LEVEL_NOTICE;
	ok(log_level_parse("Error", &level) == -EINVAL && level == LOG_LEVEL_NOTICE,
	   "another word is none");

	ok(log_is_enabled(LOG_LEVEL_INFO) && !log_is_enabled(LOG_LEVEL_DEBUG),
	   "info to start with");
	log_set_level(LOG_LEVEL_WARNING);
	log_notice("not %s", "this");
	log_write(LOG_LEVEL_NOTICE, NULL, 0, "nor this");
	is_text(written(false), "", "what is below the level is not written");
	log_warning("but %s", "this");
	is_text(written(true), "warning: but this\n", "what is not below it is");
	log_set_level(LOG_LEVEL_DEBUG);
}

static void test_line(void)
{
	const struct log_field fields[] = {
		{"NEXUSD_BACKEND", "gpu-1"},
		{"NEXUSD_MODEL", NULL},
		{"NEXUSD_REASON", "connection refused"},
		{"NEXUSD_PATH", "a \"b\\c\""},
		{"NEXUSD_EMPTY", ""},
		{"CODE", "a\\b"},
	};
	const char *line;

	log_error("x");
	line = written(false);
	ok(has_shape(line, "9999-99-99T99:99:99.999Z error: x\n"), "a line begins with its time");
	log_write(LOG_LEVEL_INFO, fields, ARRAY_SIZE(fields), "message %d", 7);
	is_text(written(true),
		"info: message 7 backend=gpu-1 reason=\"connection refused\""
		" path=\"a \\\"b\\\\c\\\"\" empty=\"\" code=a\\b\n",
		"fields follow, named in lower case and quoted where that is needed");
	errno = ENOENT;
	log_info("x");
	is_int(errno, ENOENT, "errno survives a message");
	is_text(written(true), "info: x\n", "which is written");
}

static void test_escapes(void)
{
	const struct log_field field = {"NEXUSD_X", "a\x1B[2J\xFF"};

	log_info("%s", "one\ntwo\t\x7F\xC2\x9B");
	is_text(written(true), "info: one\\x0Atwo\\x09\\x7F\\xC2\\x9B\n", "controls are escaped");
	log_info("%s", "a\xE2\x80\xAE"
		       "b\xE2\x81\xA6"
		       "c\xE2\x80\xA8"
		       "d");
	is_text(written(true),
		"info: a\\xE2\\x80\\xAE"
		"b\\xE2\\x81\\xA6"
		"c\\xE2\\x80\\xA8"
		"d\n",
		"what turns text or breaks lines is, too");
	log_info("%s", "caf\xC3\xA9 \xE2\x82 \xED\xA0\x80");
	is_text(written(true), "info: caf\xC3\xA9 \\xE2\\x82 \\xED\\xA0\\x80\n",
		"UTF-8 stays, other bytes are escaped");
	log_write(LOG_LEVEL_INFO, &field, 1, "x");
	is_text(written(true), "info: x x=a\\x1B[2J\\xFF\n", "so they are in fields");
}

static void test_cuts(void)
{
	struct log_field many[LOG_MAX_FIELDS];
	char text[4000];
	const char *line;

	memset(text, 'a', sizeof(text));
	memcpy(text + 255, "\xC3\xA9", 2);
	text[sizeof(text) - 1] = '\0';
	log_write(LOG_LEVEL_INFO, &(struct log_field){"NEXUSD_X", text}, 1, "m");
	is_u64(strlen(written(true)), strlen("info: m x=") + 255 + 1,
	       "a value is cut before the character that does not fit");
	memset(text, '\n', 300);
	log_write(LOG_LEVEL_INFO, &(struct log_field){"NEXUSD_X", text}, 1, "m");
	is_u64(strlen(written(true)), strlen("info: m x=") + 256 + 1, "escapes count as written");

	memset(text, 'b', sizeof(text) - 1);
	memcpy(text + 2047, "\xC3\xA9", 2);
	log_info("%s", text);
	is_u64(strlen(written(true)), strlen("info: ") + 2047 + 1, "a message is cut likewise");
	memset(text, 'b', sizeof(text) - 1);
	log_info("%s", text);
	is_u64(strlen(written(true)), strlen("info: ") + 2048 + 1, "to its full length");

	for (size_t i = 0; i < LOG_MAX_FIELDS; i++)
		many[i] = (struct log_field){"NEXUSD_X", text};
	log_write(LOG_LEVEL_INFO, many, LOG_MAX_FIELDS, "%s", text);
	line = written(false);
	ok(strlen(line) <= 4096 && line[strlen(line) - 1] == '\n', "the line is one atomic write");
	ok(strncmp(line + strlen(line) - 5, "bbbb", 4) == 0, "with whole fields only");
}

/* Makes stderr the journal for log_init(). */
static void claim_journal(void)
{
	char stream[64];
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0)
		abort();
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(journal_path);
}

static void test_journal(void)
{
	const struct log_field fields[] = {
		{"NEXUSD_BACKEND", "a b\n"},
		{"NEXUSD_MODEL", NULL},
	};
	struct log_field many[LOG_MAX_FIELDS];
	char text[4000];

	claim_journal();
	log_write(LOG_LEVEL_WARNING, fields, ARRAY_SIZE(fields), "one\ntwo");
	is_text(received(),
		"MESSAGE=one\\x0Atwo\nPRIORITY=4\nSYSLOG_IDENTIFIER=nexusd\n"
		"NEXUSD_BACKEND=a b\\x0A\n",
		"the journal gets fields, escaped and unquoted");
	log_event_with(MESSAGE_BACKEND_HEALTHY, fields, 1, "x");
	is_text(received(),
		"MESSAGE=x\nPRIORITY=5\nSYSLOG_IDENTIFIER=nexusd\n"
		"MESSAGE_ID=dd228257474c47538d743292d70e8a5f\nNEXUSD_BACKEND=a b\\x0A\n",
		"an event has its id and its level");
	is_text(written(false), "", "and stderr nothing");

	memset(text, 'c', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < LOG_MAX_FIELDS; i++)
		many[i] = (struct log_field){"NEXUSD_X", text};
	log_write(LOG_LEVEL_ERROR, many, LOG_MAX_FIELDS, "%s", text);
	is_u64(strlen(received()),
	       strlen("MESSAGE=\nPRIORITY=3\nSYSLOG_IDENTIFIER=nexusd\n") + 2048 +
		       LOG_MAX_FIELDS * (strlen("NEXUSD_X=\n") + 256),
	       "all of them cut");
	is_text(received(), "", "each message is sent once");
}

static void test_slow_journal(void)
{
	uint64_t lost = log_lost_total();
	const char *last = "";
	unsigned n_sent = 0, n_received = 0;

	claim_journal();
	while (log_lost_total() == lost && n_sent < 1000000) {
		log_info("%u", n_sent);
		n_sent++;
	}
	log_info("x");
	is_u64(log_lost_total(), lost + 2, "what a journal that hangs does not take is lost");
	is_text(written(false), "", "and not written elsewhere, where it might be waited for");
	while (*(last = received()))
		n_received++;
	is_u64(n_received, n_sent - 1, "what it took it has");
	log_info("y");
	is_text(received(), "MESSAGE=y\nPRIORITY=6\nSYSLOG_IDENTIFIER=nexusd\n", "it goes on");
	is_text(received(),
		"MESSAGE=2 messages were lost: the log was not read fast enough\nPRIORITY=4\n"
		"SYSLOG_IDENTIFIER=nexusd\nMESSAGE_ID=96a985d32c1b4fbf9a6a945ce71c5c55\n"
		"NEXUSD_COUNT=2\n",
		"and hears how many are missing");
	log_info("z");
	(void)received();
	is_text(received(), "", "once");
}

static void test_no_journal(void)
{
	claim_journal();
	close_journal();
	log_info("lost?");
	is_text(written(true), "info: lost?\n", "stderr gets what no journal is there for");
}

static void test_bad_streams(void)
{
	static const char *const streams[] = {"", ":", "1", "1:", ":1", "x:y", "1:2:3"};

	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		setenv("JOURNAL_STREAM", streams[i], 1);
		log_init(journal_path);
		log_info("x");
		is_text(written(true), "info: x\n", "JOURNAL_STREAM %s is not the journal",
			streams[i]);
	}
	unsetenv("JOURNAL_STREAM");
	log_init(journal_path);
	log_info("x");
	is_text(written(true), "info: x\n", "none is none");
	is_text(received(), "", "and got none of them");
}

/* Nobody reads the pipe: the writer must not wait. */
static void test_full_pipe(void)
{
	uint64_t lost = log_lost_total();
	int saved = dup(STDERR_FILENO), ends[2];
	char text[65536];

	if (saved < 0 || pipe2(ends, O_CLOEXEC) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
		abort();
	for (unsigned i = 0; i < 10000 && log_lost_total() == lost; i++)
		log_info("%1000u", i);
	is_u64(log_lost_total(), lost + 1, "what a full pipe does not take is lost");
	while (poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 0) == 1)
		if (read(ends[0], text, sizeof(text)) <= 0)
			abort();
	log_info("on");
	text[read(ends[0], text, sizeof(text) - 1)] = '\0';
	ok(strstr(text, "warning: 1 messages were lost") && strstr(text, "count=1\n"),
	   "it is told once there is room");
	if (dup2(saved, STDERR_FILENO) < 0)
		abort();
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

/* One JSON object a line, in which `member` has the raw value `want`. */
static void is_json_with(const char *line, const char *member, const char *want, const char *what)
{
	char pattern[4096];
	struct jsonscan scan = {0};
	size_t n = strlen(line);

	ok(n > 0 && strchr(line, '\n') == line + n - 1 &&
		   jsonscan_run(&scan, (struct str){line, n - 1}) == JSON_OK,
	   "%s: strict JSON in one line", what);
	(void)snprintf(pattern, sizeof(pattern), "\"%s\":%s", member, want);
	ok(strstr(line, pattern) != NULL, "%s: %s", what, pattern);
}

static void test_json(void)
{
	struct log_field field = {"NEXUSD_MODEL",
				  "a \"b\\c\"\n\x7F\xC2\x9B \xFF \xE2\x80\xAE caf\xC3\xA9"};
	struct log_field many[LOG_MAX_FIELDS];
	char text[4000], names[LOG_MAX_FIELDS][16];
	const char *line;

	log_set_json(true);
	log_write(LOG_LEVEL_INFO, &field, 1, "m");
	line = written(false);
	ok(has_shape(line, "{\"time\":\"9999-99-99T99:99:99.999Z\",\"level\":\"info\","
			   "\"message\":\"m\","),
	   "it begins with time, level and message");
	is_json_with(line, "model",
		     "\"a \\\"b\\\\c\\\"\\u000a\\u007f\\u009b \\ufffd \\u202e caf\xC3\xA9\"",
		     "a nasty value");
	log_write(LOG_LEVEL_INFO, &(struct log_field){"NEXUSD_STATUS", "200"}, 1, "x\"\x1B\\");
	line = written(false);
	is_json_with(line, "status", "200", "a number");
	is_json_with(line, "message", "\"x\\\"\\u001b\\\\\"", "a nasty message");
	log_write(LOG_LEVEL_INFO, &(struct log_field){"NEXUSD_MODEL", "200"}, 1, "x");
	is_json_with(written(false), "model", "\"200\"", "a text that looks like a number");
	log_event(MESSAGE_STOPPED, "x");
	is_json_with(written(false), "message_id", "\"aaa6a19aeec14e8d9b15558eaa42cf89\"",
		     "an event");
	memset(text, '\x01', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < LOG_MAX_FIELDS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "NEXUSD_X%zu", i);
		many[i] = (struct log_field){names[i], text};
	}
	log_write(LOG_LEVEL_INFO, many, LOG_MAX_FIELDS, "%s", text);
	line = written(false);
	ok(strlen(line) <= 4096, "too much of everything is one atomic write");
	is_json_with(line, "level", "\"info\"", "too much of everything");
	log_set_json(false);
}

int main(void)
{
	unsetenv("JOURNAL_STREAM");
	capture();
	open_journal();
	log_init(journal_path);
	test_levels();
	test_line();
	test_escapes();
	test_cuts();
	test_json();
	test_full_pipe();
	test_bad_streams();
	test_journal();
	test_slow_journal();
	test_no_journal();
	return tap_done();
}
