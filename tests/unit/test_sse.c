/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/sse.h"

#include <stdlib.h>

#include "tap.h"

#define NO_DATA    ((const char *)NULL)
#define MAX_FRAMES 8
#define ROOMY      4096

struct expected {
	const char *raw, *data;
};

struct stream {
	const char *what;
	struct expected frames[MAX_FRAMES];
	const char *rest;
};

static const struct stream streams[] = {
	{"nothing", {{0}}, ""},
	{"one event", {{"data: a\n\n", "a"}}, ""},
	{"two events", {{"data: a\n\n", "a"}, {"data: b\n\n", "b"}}, ""},
	{"CRLF", {{"data: a\r\n\r\n", "a"}, {"data: b\r\n\r\n", "b"}}, ""},
	{"CR", {{"data: a\r\r", "a"}, {"data: b\r\r", "b"}}, ""},
	{"no blank after the colon", {{"data:a\n\n", "a"}}, ""},
	{"only one blank is taken", {{"data:  a \n\n", " a "}}, ""},
	{"a colon in the value", {{"data: {\"a\":1}\n\n", "{\"a\":1}"}}, ""},
	{"two data lines", {{"data: a\ndata: b\n\n", "a\nb"}}, ""},
	{"three data lines, CRLF", {{"data: a\r\ndata:\r\ndata: c\r\n\r\n", "a\n\nc"}}, ""},
	{"empty data lines", {{"data:\ndata\n\n", "\n"}}, ""},
	{"data without a colon", {{"data\n\n", ""}}, ""},
	{"empty data", {{"data: \n\n", ""}}, ""},
	{"fields around", {{"event: x\nid: 7\ndata: a\nretry: 9\n\n", "a"}}, ""},
	{"a field that only begins with data", {{"database: a\n\n", NO_DATA}}, ""},
	{"a field name with a blank", {{"data : a\n\n", NO_DATA}}, ""},
	{"comment", {{": keep-alive\n\n", NO_DATA}, {"data: a\n\n", "a"}}, ""},
	{"run of comments", {{": one\n: two\n:\n\n", NO_DATA}}, ""},
	{"comment inside an event", {{": c\ndata: a\n: d\n\n", "a"}}, ""},
	{"BOM",
	 {{"\xef\xbb\xbf"
	   "data: a\n\n",
	   "a"},
	  {"data: b\n\n", "b"}},
	 ""},
	{"BOM only at the very start",
	 {{"data: a\n\n", "a"},
	  {"\xef\xbb\xbf"
	   "data: b\n\n",
	   NO_DATA}},
	 ""},
	{"BOM before a blank line", {{"\xef\xbb\xbf\ndata: a\n\n", "a"}}, ""},
	{"blank lines alone", {{"\n", NO_DATA}, {"\n", NO_DATA}, {"data: a\n\n", "a"}}, ""},
	{"a CRLF before anything", {{"\r", NO_DATA}, {"\n", NO_DATA}, {"data: a\n\n", "a"}}, ""},
	{"CR line, CRLF blank line",
	 {{"data: a\r\r", "a"}, {"\n", NO_DATA}, {"data: b\r\r", "b"}},
	 ""},
	{"LF line, CRLF blank line",
	 {{"data: a\n\r", "a"}, {"\n", NO_DATA}, {"data: b\r\n\r\n", "b"}},
	 ""},
	{"CRLF line, LF blank line", {{"data: a\r\n\n", "a"}, {"data: b\n\n", "b"}}, ""},
	{"CRLF line, CR blank line", {{"data: a\r\n\r", "a"}, {"data: b\n\n", "b"}}, ""},
	{"CRLF once, CR after", {{"data: a\r\ndata: b\r\r", "a\nb"}, {"data: c\r\r", "c"}}, ""},
	{"CRLF stream waits for its LF", {{0}}, "data: a\r\n\r"},
	{"CRLF pair of blank lines",
	 {{"data: a\r\n\r\n", "a"}, {"\r\n", NO_DATA}, {"data: b\r\n\r\n", "b"}},
	 ""},
	{"incomplete line", {{"data: a\n\n", "a"}}, "data: b"},
	{"incomplete event", {{"data: a\n\n", "a"}}, "data: b\n"},
	{"binary", {{"data: \x01\xff\x7f\n\n", "\x01\xff\x7f"}}, ""},
};

struct log {
	char raw[1024], data[1024], shape[1024];
	size_t raw_len, n, stop_after;
	size_t raw_ends[MAX_FRAMES * 4];
	bool oversize_any;
};

static void append(char *to, struct str s)
{
	size_t len = strlen(to);

	if (s.n)
		memcpy(to + len, s.p, s.n);
	to[len + s.n] = '\0';
}

/* Frames are compared by one text: each frame's raw bytes, its data, and marks between them. */
static bool on_frame(void *context, const struct sse_frame *frame)
{
	struct log *log = context;

	append(log->shape, frame->raw);
	append(log->shape, str_of(frame->data.p ? "|" : "!"));
	append(log->shape, frame->data);
	append(log->shape, str_of(frame->oversize ? "<oversize>" : "<frame>"));
	append(log->raw, frame->raw);
	log->oversize_any |= frame->oversize;
	return ++log->n != log->stop_after;
}

static void expected_shape(const struct stream *stream, char *shape, char *text)
{
	shape[0] = text[0] = '\0';
	for (const struct expected *e = stream->frames; e->raw; e++) {
		append(shape, str_of(e->raw));
		append(shape, str_of(e->data ? "|" : "!"));
		append(shape, str_of(e->data));
		append(shape, str_of("<frame>"));
		append(text, str_of(e->raw));
	}
	append(text, str_of(stream->rest));
}

/* Heap copies of the exact size let the sanitizer see a read past the piece. */
static int feed(struct sse *sse, struct str piece, struct log *log)
{
	char *copy = need(malloc(piece.n ? piece.n : 1));
	int r;

	if (piece.n)
		memcpy(copy, piece.p, piece.n);
	r = sse_feed(sse, (struct str){copy, piece.n}, on_frame, log);
	free(copy);
	return r;
}

/* Nothing here is too large to be held. */
static bool rest_is(const struct sse *sse, const char *want)
{
	return str_eq(sse_rest(sse), str_of(want)) && sse_is_within_frame(sse) == (want[0] != 0);
}

/* `cut` bytes and then the others; cut 0 feeds byte by byte. */
static bool run_cut(const struct stream *stream, const char *text, const char *shape, size_t cut)
{
	struct str s = str_of(text);
	struct log log = {0};
	struct sse sse;
	bool good = true;

	sse_init(&sse, ROOMY);
	if (cut == 0) {
		for (size_t i = 0; i < s.n; i++)
			good &= feed(&sse, (struct str){s.p + i, 1}, &log) == 0;
	} else {
		good &= feed(&sse, (struct str){s.p, cut}, &log) == 0;
		good &= feed(&sse, (struct str){s.p + cut, s.n - cut}, &log) == 0;
	}
	good &= strcmp(log.shape, shape) == 0 && rest_is(&sse, stream->rest);
	if (!good)
		printf("#   cut at %zu gives \"%s\"\n", cut, log.shape);
	sse_done(&sse);
	return good;
}

static void test_streams(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		char shape[1024], text[1024];
		bool good = true;

		expected_shape(&streams[i], shape, text);
		for (size_t cut = 0; cut <= strlen(text); cut++)
			good &= run_cut(&streams[i], text, shape, cut);
		ok(good, "%s: the same frames wherever it is cut", streams[i].what);
	}
}

static bool keep_pointer(void *context, const struct sse_frame *frame)
{
	struct sse_frame *last = context;

	*last = *frame;
	return true;
}

static void test_zero_copy(void)
{
	static const char text[] = ": c\n\ndata: hello\n\ndata: half";
	struct sse_frame last = {0};
	struct sse sse;

	sse_init(&sse, ROOMY);
	ok(sse_feed(&sse, str_of(text), keep_pointer, &last) == 0, "a piece is taken");
	ok(last.raw.p == text + 5, "a frame that lies in the piece is a slice of it");
	ok(last.data.p == text + 11 && last.data.n == 5, "and so is its data");
	ok(rest_is(&sse, "data: half"), "what is left is kept");
	sse_done(&sse);
}

/* At the same instant at which the frame's last byte comes, for the three line ends. */
static void test_promptness(void)
{
	static const char *const texts[] = {"data: a\n\n", "data: a\r\n\r\n", "data: a\r\r"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct str s = str_of(texts[i]);
		struct log log = {0};
		struct sse sse;

		sse_init(&sse, ROOMY);
		ok(feed(&sse, (struct str){s.p, s.n - 1}, &log) == 0 && log.n == 0,
		   "no frame before its last byte (%zu)", i);
		ok(feed(&sse, (struct str){s.p + s.n - 1, 1}, &log) == 0 && log.n == 1,
		   "the frame with its last byte (%zu)", i);
		sse_done(&sse);
	}
}

static void test_stop(void)
{
	struct log log = {.stop_after = 1};
	struct sse sse;

	sse_init(&sse, ROOMY);
	ok(feed(&sse, str_of("data: a\n\ndata: b\n\n"), &log) == 0, "a stop is no error");
	is_text(log.raw, "data: a\n\n", "nothing comes after a stop");
	sse_done(&sse);
}

static bool free_and_stop(void *context, const struct sse_frame *frame)
{
	struct sse **sse = context;
	bool seen = str_eq(frame->data, STR_LITERAL("a"));

	sse_done(*sse);
	free(*sse);
	*sse = NULL;
	return !seen;
}

static void test_free_inside(void)
{
	struct sse *sse = need(malloc(sizeof(*sse)));

	sse_init(sse, ROOMY);
	ok(sse_feed(sse, STR_LITERAL("data"), free_and_stop, &sse) == 0 && sse, "held");
	ok(sse_feed(sse, STR_LITERAL(": a\n\ndata: b\n\n"), free_and_stop, &sse) == 0 && !sse,
	   "the callback may free the splitter when it stops");
}

struct oversize_case {
	const char *text, *shape;
	size_t max;
};

/* Fed byte by byte, so that the cut of the oversize pieces is certain. */
static const struct oversize_case oversize_cases[] = {
	{"data: a\n\n", "data: a\n\n|a<frame>", 9},
	{"data: ab\n\nd", "data: ab\n!<oversize>\n!<oversize>", 9},
	{"data: abc\n\ndata: d\n\n",
	 "data: abc!<oversize>\n!<oversize>\n!<oversize>data: d\n\n|d<frame>", 9},
	{":23456789\r\n\r\n:\r\n\r\n",
	 ":23456789!<oversize>\r!<oversize>\n!<oversize>\r!<oversize>\n!<oversize>"
	 ":\r\n\r\n!<frame>",
	 9},
	{":23456789\r\n\rd\n\n",
	 ":23456789!<oversize>\r!<oversize>\n!<oversize>\r!<oversize>d\n\n!<frame>", 9},
};

static void test_oversize(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(oversize_cases); i++) {
		const struct oversize_case *c = &oversize_cases[i];
		struct str s = str_of(c->text);
		struct log log = {0}, whole = {0};
		struct sse sse;

		sse_init(&sse, c->max);
		for (size_t b = 0; b < s.n; b++)
			if (feed(&sse, (struct str){s.p + b, 1}, &log) < 0)
				ok(false, "byte %zu is taken", b);
		is_text(log.shape, c->shape, "oversize %zu: pieces until the frame's end", i);
		append(log.raw, sse_rest(&sse));
		is_text(log.raw, c->text, "oversize %zu: every byte once", i);
		sse_done(&sse);

		sse_init(&sse, c->max);
		ok(feed(&sse, s, &whole) == 0 && whole.oversize_any == log.oversize_any,
		   "oversize %zu: the same verdict in one piece", i);
		sse_done(&sse);
	}
}

static void test_within_a_frame(void)
{
	struct log log = {0};
	struct sse sse;

	sse_init(&sse, 9);
	ok(!sse_is_within_frame(&sse), "no frame is under way at the start");
	ok(feed(&sse, STR_LITERAL("data"), &log) == 0 && sse_is_within_frame(&sse),
	   "one that is held is");
	ok(feed(&sse, STR_LITERAL(": abcdef"), &log) == 0 && log.oversize_any &&
		   sse_rest(&sse).n == 0 && sse_is_within_frame(&sse),
	   "so is one that is too large for that");
	ok(feed(&sse, STR_LITERAL("\n\n"), &log) == 0 && !sse_is_within_frame(&sse),
	   "until its end");
	sse_done(&sse);
}

static void test_bounded(void)
{
	char line[64];
	struct log log = {0};
	struct sse sse;
	size_t most = 0;

	memset(line, 'x', sizeof(line));
	sse_init(&sse, 100);
	for (int i = 0; i < 1000; i++) {
		log = (struct log){0};
		if (feed(&sse, (struct str){line, sizeof(line)}, &log) < 0)
			ok(false, "piece %d is taken", i);
		if (sse_rest(&sse).n > most)
			most = sse_rest(&sse).n;
	}
	ok(most <= 100, "a frame without an end is held up to the ceiling only");
	sse_done(&sse);
}

int main(void)
{
	test_streams();
	test_zero_copy();
	test_promptness();
	test_stop();
	test_free_inside();
	test_oversize();
	test_within_a_frame();
	test_bounded();
	return tap_done();
}
