/* SPDX-License-Identifier: Apache-2.0 */
#include "base/multipart.h"

#include <stdlib.h>

#include "tap.h"

#define TYPE  "multipart/form-data; boundary=B"
#define FIELD "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n"
#define FILE_PART                                                                      \
	"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n" \
	"Content-Type: audio/wav\r\n\r\n\0\r\n-\r\n--A\r\n\xff\r\n"
#define END      "--B--\r\n"
#define DISPOSED "--B\r\nContent-Disposition: "
#define VALUE    "\r\n\r\nm\r\n" END

/* Fed in pieces of `step` bytes. */
static enum multipart_error scan(struct multipart *m, const char *type, struct str text,
				 size_t step)
{
	enum multipart_error error = multipart_init(m, str_of(type), "model", 256);

	while (error == MULTIPART_OK && text.n > 0) {
		size_t n = step < text.n ? step : text.n;

		error = multipart_feed(m, (struct str){text.p, n});
		text = (struct str){text.p + n, text.n - n};
	}
	return error == MULTIPART_OK ? multipart_end(m) : error;
}

static const struct {
	const char *what;
	struct str text;
	const char *model; /* NULL: none */
} good[] = {
	{"a field", STR_INIT(FIELD END), "m"},
	{"a field before a file", STR_INIT(FIELD FILE_PART END), "m"},
	{"a field behind a file", STR_INIT(FILE_PART FIELD END), "m"},
	{"a file alone", STR_INIT(FILE_PART END), NULL},
	{"no line end at the end", STR_INIT(FIELD "--B--"), "m"},
	{"a line end at the start", STR_INIT("\r\n" FIELD END), "m"},
	{"blanks behind boundaries",
	 STR_INIT("--B \t\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--B--"), "m"},
	{"another order and case",
	 STR_INIT("--B\r\nContent-Type: text/plain\r\ncontent-disposition:Form-Data;NAME=model"
		  "\r\nContent-Transfer-Encoding: 8BIT\r\n\r\nm\r\n--B--"),
	 "m"},
	{"an empty value", STR_INIT(DISPOSED "form-data; name=\"model\"\r\n\r\n\r\n" END), ""},
	{"line ends in the value",
	 STR_INIT(DISPOSED "form-data; name=model\r\n\r\n\r\na\n--\r--C\r\n\r\n" END),
	 "\r\na\n--\r--C\r\n"},
	{"the boundary within a line",
	 STR_INIT(DISPOSED "form-data; name=model\r\n\r\nx--B\r\n" END), "x--B"},
	{"another field's name begins so",
	 STR_INIT(DISPOSED "form-data; name=\"model_name\"" VALUE), NULL},
	{"names are told apart by case", STR_INIT(DISPOSED "form-data; name=\"Model\"" VALUE),
	 NULL},
	{"a quoted semicolon",
	 STR_INIT(FIELD DISPOSED "form-data; name=\"a\"; filename=\"; name=model\"" VALUE), "m"},
};

static void forms_are_read(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		for (size_t step = 1; step < 9; step += 3) {
			struct multipart m;
			const char *want = good[i].model;
			enum multipart_error error = scan(&m, TYPE, good[i].text, step);

			is_text(multipart_error_text(error), "no error", "%s, %zu bytes at a time",
				good[i].what, step);
			ok(m.found == !!want && (!want || str_eq(buf_str(&m.value), str_of(want))),
			   "its field is found");
			ok(!want ||
				   memcmp(good[i].text.p + m.value_offset, want, strlen(want)) == 0,
			   "where it stands");
			multipart_done(&m);
		}
}

static const struct {
	const char *what;
	struct str text;
	enum multipart_error error;
} bad[] = {
	{"nothing", STR_INIT(""), MULTIPART_UNFINISHED},
	{"JSON", STR_INIT("{\"model\":\"m\"}"), MULTIPART_SYNTAX},
	{"a preamble", STR_INIT("hello\r\n" FIELD END), MULTIPART_SYNTAX},
	{"two empty lines first", STR_INIT("\r\n\r\n" FIELD END), MULTIPART_SYNTAX},
	{"another boundary", STR_INIT("--C\r\n"), MULTIPART_SYNTAX},
	{"no part at all", STR_INIT(END), MULTIPART_SYNTAX},
	{"no end", STR_INIT(FIELD), MULTIPART_UNFINISHED},
	{"one dash at the end", STR_INIT(FIELD "--B-"), MULTIPART_UNFINISHED},
	{"one dash and more", STR_INIT(FIELD "--B-\r\n"), MULTIPART_SYNTAX},
	{"a longer boundary", STR_INIT(FIELD "--Bx\r\n"), MULTIPART_SYNTAX},
	{"something behind the end", STR_INIT(FIELD END "x"), MULTIPART_SYNTAX},
	{"a part behind the end", STR_INIT(FIELD END FIELD END), MULTIPART_SYNTAX},
	{"LF before a boundary", STR_INIT(DISPOSED "form-data; name=\"a\"\r\n\r\nx\n" FIELD END),
	 MULTIPART_BAD_LINE_END},
	{"CR before a boundary", STR_INIT(DISPOSED "form-data; name=\"a\"\r\n\r\nx\r" FIELD END),
	 MULTIPART_BAD_LINE_END},
	{"LF behind what began as a boundary",
	 STR_INIT(DISPOSED "form-data; name=\"a\"\r\n\r\nx\r--\n" FIELD END),
	 MULTIPART_BAD_LINE_END},
	{"a boundary right behind a head",
	 STR_INIT(DISPOSED "form-data; name=\"a\"\r\n\r\n" FIELD END), MULTIPART_BAD_LINE_END},
	{"LF behind a boundary",
	 STR_INIT("--B\nContent-Disposition: form-data; name=model\r\n\r\n"), MULTIPART_SYNTAX},
	{"LF in a head", STR_INIT(DISPOSED "form-data; name=a\nX: y" VALUE), MULTIPART_BAD_HEAD},
	{"a NUL in a head", STR_INIT(DISPOSED "form-data; name=a\0b" VALUE), MULTIPART_BAD_HEAD},
	{"a boundary in a head", STR_INIT(DISPOSED "form-data; name=a\r\n--BX: y" VALUE),
	 MULTIPART_BAD_HEAD},
	{"no head", STR_INIT("--B\r\n\r\nx\r\n" END), MULTIPART_BAD_HEAD},
	{"no disposition", STR_INIT("--B\r\nX-Y: z\r\n\r\nx\r\n" END), MULTIPART_BAD_HEAD},
	{"two dispositions",
	 STR_INIT(DISPOSED "form-data; name=a\r\nContent-Disposition: form-data; name=model" VALUE),
	 MULTIPART_BAD_HEAD},
	{"a blank before the colon",
	 STR_INIT("--B\r\nContent-Disposition : form-data; name=model" VALUE), MULTIPART_BAD_HEAD},
	{"a folded line", STR_INIT(DISPOSED "form-data;\r\n name=model" VALUE), MULTIPART_BAD_HEAD},
	{"no name", STR_INIT(DISPOSED "form-data" VALUE), MULTIPART_BAD_HEAD},
	{"another disposition", STR_INIT(DISPOSED "attachment; name=model" VALUE),
	 MULTIPART_BAD_HEAD},
	{"two names", STR_INIT(DISPOSED "form-data; name=a; name=model" VALUE), MULTIPART_BAD_HEAD},
	{"an extended name", STR_INIT(DISPOSED "form-data; name=a; name*=utf-8''model" VALUE),
	 MULTIPART_BAD_HEAD},
	{"an escape in a name", STR_INIT(DISPOSED "form-data; name=\"mod\\el\"" VALUE),
	 MULTIPART_BAD_HEAD},
	{"an escaped quote",
	 STR_INIT(DISPOSED "form-data; name=a; filename=\"b\\\"; name=model; x=\"" VALUE),
	 MULTIPART_BAD_HEAD},
	{"an open quote", STR_INIT(DISPOSED "form-data; name=\"model" VALUE), MULTIPART_BAD_HEAD},
	{"no semicolon", STR_INIT(DISPOSED "form-data name=model" VALUE), MULTIPART_BAD_HEAD},
	{"the field twice", STR_INIT(FIELD FIELD END), MULTIPART_TWICE},
	{"the field again in capitals", STR_INIT(FIELD DISPOSED "form-data; name=\"MODEL\"" VALUE),
	 MULTIPART_TWICE},
	{"the field as a file", STR_INIT(DISPOSED "form-data; name=model; filename=x" VALUE),
	 MULTIPART_NOT_PLAIN},
	{"the field in Base64",
	 STR_INIT(DISPOSED "form-data; name=model\r\nContent-Transfer-Encoding: base64" VALUE),
	 MULTIPART_NOT_PLAIN},
};

static void doubtful_forms_are_refused(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t step = 1; step < 100; step += 49) {
			struct multipart m;
			enum multipart_error error = scan(&m, TYPE, bad[i].text, step);

			is_text(multipart_error_text(error), multipart_error_text(bad[i].error),
				"%s, %zu bytes at a time", bad[i].what, step);
			multipart_done(&m);
		}
}

static const struct {
	const char *type;
	bool good;
} types[] = {
	{"multipart/form-data; boundary=B", true},
	{"multipart/form-data;boundary=\"B\"", true},
	{"Multipart/Form-Data; charset=utf-8; BOUNDARY=B", true},
	{"multipart/form-data; boundary=B;", true},
	{"multipart/form-data", false},
	{"multipart/form-data; boundary=", false},
	{"multipart/form-data; boundary=\"\"", false},
	{"multipart/form-data; boundary=B; boundary=B", false},
	{"multipart/form-data; boundary=B; boundary*=C", false},
	{"multipart/form-data; boundary=\"B \"", false},
	{"multipart/form-data; boundary=\"B", false},
	{"multipart/form-data; boundary=\xc3\xa9", false},
	{"multipart/form-data; boundary=B x", false},
	{"multipart/form-data, boundary=B", false},
};

static void boundaries_are_judged(void)
{
	char type[200] = "multipart/form-data; boundary=";
	struct multipart m;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		enum multipart_error error = scan(&m, types[i].type, STR_LITERAL(FIELD END), 1000);

		is_int(error, types[i].good ? MULTIPART_OK : MULTIPART_NO_BOUNDARY, "%s",
		       types[i].type);
		multipart_done(&m);
	}
	memset(type + strlen(type), 'b', MULTIPART_BOUNDARY_MAX_BYTES);
	is_int(scan(&m, type, STR_LITERAL("--"), 1), MULTIPART_UNFINISHED, "70 bytes");
	multipart_done(&m);
	type[strlen(type)] = 'b';
	is_int(scan(&m, type, STR_LITERAL("--"), 1), MULTIPART_NO_BOUNDARY, "not 71");
	multipart_done(&m);
}

static void everything_has_a_ceiling(void)
{
	static const struct str field = STR_INIT(DISPOSED "form-data; name=model\r\n\r\n");
	static const struct str end = STR_INIT("\r\n" END);
	struct multipart m;
	struct buf text;

	buf_init(&text, 1 << 20);
	for (size_t n = 256; n <= 8192; n = n == 256 ? 257 : n * 16) {
		buf_clear(&text);
		if (buf_append_str(&text, field) < 0)
			abort();
		for (size_t i = 0; i < n; i++)
			if (buf_append(&text, "v", 1) < 0)
				abort();
		if (buf_append_str(&text, end) < 0)
			abort();
		is_int(scan(&m, TYPE, buf_str(&text), 1000),
		       n > 256 ? MULTIPART_TOO_LONG : MULTIPART_OK, "a value of %zu bytes", n);
		multipart_done(&m);
	}
	buf_clear(&text);
	if (buf_append_str(&text, STR_LITERAL("--B\r\nX: ")) < 0)
		abort();
	for (size_t i = 0; i < MULTIPART_HEAD_MAX_BYTES; i++)
		if (buf_append(&text, "y", 1) < 0)
			abort();
	is_int(scan(&m, TYPE, buf_str(&text), 64), MULTIPART_HEAD_TOO_LARGE, "a long head");
	multipart_done(&m);
	buf_clear(&text);
	for (size_t i = 0; i <= MULTIPART_MAX_PARTS; i++)
		if (buf_append_str(&text, STR_LITERAL(DISPOSED "form-data; name=a\r\n\r\n\r\n")) <
		    0)
			abort();
	is_int(scan(&m, TYPE, buf_str(&text), 64), MULTIPART_TOO_MANY_PARTS, "many parts");
	multipart_done(&m);
	buf_done(&text);
}

int main(void)
{
	forms_are_read();
	doubtful_forms_are_refused();
	boundaries_are_judged();
	everything_has_a_ceiling();
	return tap_done();
}
