/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/str.h"
#include "tests/tap.h"

/* Stands in for the journal's. */
int sd_journal_sendv(const struct iovec *parts, int n);

static char journal[16384]; /* what it was last given, one field per line */
static int journal_calls, journal_result;

int sd_journal_sendv(const struct iovec *parts, int n)
{
	size_t len = 0;

	journal_calls++;
	for (int i = 0; i < n && len + parts[i].iov_len + 2 < sizeof(journal); i++) {
		memcpy(journal + len, parts[i].iov_base, parts[i].iov_len);
		len += parts[i].iov_len;
		journal[len++] = '\n';
	}
	journal[len] = '\0';
	return journal_result;
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
		{"MESSAGE_ID", "0123456789abcdef0123456789abcdef"},
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

static void test_journal(void)
{
	const struct log_field fields[] = {
		{"MESSAGE_ID", "abc"},
		{"NEXUSD_BACKEND", "a b\n"},
		{"NEXUSD_MODEL", NULL},
	};
	struct log_field many[LOG_MAX_FIELDS];
	char stream[64], text[4000];
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0)
		abort();
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init();
	log_info("x");
	is_text(written(true), "info: x\n", "another inode is not the journal");

	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
		       (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init();
	log_write(LOG_LEVEL_WARNING, fields, ARRAY_SIZE(fields), "one\ntwo");
	is_text(journal,
		"MESSAGE=one\\x0Atwo\nPRIORITY=4\nMESSAGE_ID=abc\nNEXUSD_BACKEND=a b\\x0A\n",
		"the journal gets fields, escaped and unquoted");
	is_text(written(false), "", "and stderr nothing");

	memset(text, 'c', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < LOG_MAX_FIELDS; i++)
		many[i] = (struct log_field){"NEXUSD_X", text};
	log_write(LOG_LEVEL_ERROR, many, LOG_MAX_FIELDS, "%s", text);
	is_u64(strlen(journal),
	       strlen("MESSAGE=\nPRIORITY=3\n") + 2048 +
		       LOG_MAX_FIELDS * (strlen("NEXUSD_X=\n") + 256),
	       "all of them cut");

	journal_result = -EPIPE;
	log_info("lost?");
	is_text(written(true), "info: lost?\n", "stderr gets what the journal refuses");
	is_int(journal_calls, 3, "each message is sent once");
}

static void test_bad_streams(void)
{
	static const char *const streams[] = {"", ":", "1", "1:", ":1", "x:y", "1:2:3"};

	journal_calls = 0;
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		setenv("JOURNAL_STREAM", streams[i], 1);
		log_init();
		log_info("x");
	}
	unsetenv("JOURNAL_STREAM");
	log_init();
	log_info("x");
	is_int(journal_calls, 0, "a malformed JOURNAL_STREAM is not the journal");
}

int main(void)
{
	unsetenv("JOURNAL_STREAM");
	capture();
	log_init();
	test_levels();
	test_line();
	test_escapes();
	test_cuts();
	test_journal();
	test_bad_streams();
	return tap_done();
}
