/* SPDX-License-Identifier: Apache-2.0 */
/* The demo backend's embeddings. */
#include "demo_run.h"
#include "tap.h"

static struct loop *loop;
static struct client *client;

/* -0.5000000 and the like, as thousandths of the seventh decimal. */
static long long decimal(struct str s)
{
	long long sign = s.n && s.p[0] == '-' ? -1 : 1, value = 0;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= '0' && s.p[i] <= '9')
			value = value * 10 + (s.p[i] - '0');
	return sign * value;
}

static int digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at_digit = strchr(digits, c);

	return at_digit && c ? (int)(at_digit - digits) : 0;
}

static float float_at(const char *base64, size_t i)
{
	uint32_t bits = 0;
	float value;

	for (size_t b = 4 * i + 3; b + 1 > 4 * i; b--) {
		size_t group = b / 3 * 4, place = b % 3;
		int pair = digit(base64[group + place]) << 6 | digit(base64[group + place + 1]);

		bits = bits << 8 | (uint32_t)(pair >> (4 - 2 * place) & 0xff);
	}
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The floats as text, cut out of the answer: json-c would give them back as doubles. */
static struct str floats_of(struct str body, size_t index)
{
	const char *begin = body.p, *end;

	for (size_t i = 0; i <= index; i++) {
		begin = memmem(begin, (size_t)(body.p + body.n - begin), "\"embedding\":", 12);
		if (!begin)
			return (struct str){NULL, 0};
		begin += 12;
	}
	end = memchr(begin + 1, begin[0] == '[' ? ']' : '"', (size_t)(body.p + body.n - begin) - 1);
	return (struct str){begin + 1, end ? (size_t)(end - begin) - 1 : 0};
}

static size_t embed(const char *input, const char *format, char vectors[4][256], uint64_t *tokens)
{
	struct json_object *answer;
	struct run run;
	char body[512];
	size_t n;

	snprintf(body, sizeof(body), "{\"model\":\"demo\",\"input\":%s%s}", input, format);
	post(&run, loop, client, "/v1/embeddings", str_of(body));
	loop_run(loop);
	answer = answer_of(&run);
	n = jsonx_length(jsonx_get(answer, "data"));
	*tokens = number_at(answer, "usage.prompt_tokens");
	for (size_t i = 0; i < n && i < 4; i++) {
		struct str s = floats_of(buf_str(&run.body), i);

		snprintf(vectors[i], 256, "%.*s", (int)s.n, s.p);
	}
	jsonx_free(answer);
	run_finish(&run);
	return run.result.outcome == OUTCOME_OK && run.head_status == 200 ? n : 0;
}

static void test_embeddings(void)
{
	char a[4][256], b[4][256];
	struct str rest;
	uint64_t tokens;
	bool equal = true;
	size_t n = 0;

	ok(embed("\"hello\"", "", a, &tokens) == 1 && tokens == 2, "a string");
	ok(embed("[\"x\",\"\\u0068ello\",\"hello \"]", "", b, &tokens) == 3 && tokens == 5,
	   "an array of strings");
	is_text(a[0], b[1], "the same text, the same vector, however it is written");
	ok(strcmp(b[1], b[2]) != 0, "another text, another vector");
	ok(embed("[1,2,3]", "", a, &tokens) == 1 && tokens == 3, "an array of tokens");
	ok(embed("[[1,2,3],[1,3,2]]", "", b, &tokens) == 2 && tokens == 6, "arrays of tokens");
	is_text(a[0], b[0], "the same tokens, the same vector");
	ok(strcmp(b[0], b[1]) != 0, "their order counts");

	ok(embed("\"hello\"", ",\"encoding_format\":\"float\"", a, &tokens) == 1, "floats");
	ok(embed("\"hello\"", ",\"encoding_format\":\"base64\"", b, &tokens) == 1, "base64");
	is_u64(strlen(b[0]), 44, "32 bytes of it");
	for (rest = str_of(a[0]); rest.p; n++)
		equal &= (float)decimal(str_split(&rest, ',')) / 1e7f == float_at(b[0], n);
	ok(equal && n == 8, "eight dimensions, the same in both");
}

static void test_many_inputs(void)
{
	static const size_t counts[] = {2048, 2049};

	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		struct buf body;
		struct run run;
		int r;

		buf_init(&body, 1 << 20);
		r = buf_append_str(&body, STR_LITERAL("{\"model\":\"demo\",\"input\":[\"a\""));
		for (size_t i = 1; i < counts[c]; i++)
			r |= buf_append_str(&body, STR_LITERAL(",\"b\""));
		r |= buf_append_str(&body, STR_LITERAL("]}"));
		post(&run, loop, client, "/v1/embeddings", buf_str(&body));
		loop_run(loop);
		ok(r == 0 && run.head_status == (c ? 400 : 200), "%zu inputs", counts[c]);
		ok(c || run.n_datas == (run.body.len + 16383) / 16384, "in pieces");
		run_finish(&run);
		buf_done(&body);
	}
}

int main(void)
{
	run_world(&loop, &client);
	test_embeddings();
	test_many_inputs();
	run_world_end(loop, client);
	return tap_done();
}
