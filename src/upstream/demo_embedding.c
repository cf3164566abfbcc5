/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/demo_embedding.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/jsonscan.h"
#include "base/jsonx.h"

enum field { FIELD_MODEL, FIELD_FORMAT, FIELD_INPUT, FIELD_ITEM, FIELD_TOKEN };

static const struct json_path paths[] = {
	[FIELD_MODEL] = {{"model"}},
	[FIELD_FORMAT] = {{"encoding_format"}},
	[FIELD_INPUT] = {{"input"}},
	[FIELD_ITEM] = {{"input", "[]"}},
	[FIELD_TOKEN] = {{"input", "[]", "[]"}},
};

/* One input is a string, or an array of tokens (numbers); `input` is one or an array of them. */
enum shape { SHAPE_UNKNOWN, SHAPE_STRINGS, SHAPE_TOKENS, SHAPE_TOKEN_ARRAYS, SHAPE_BAD };

struct reading {
	struct buf hashes; /* a uint64_t for each input */
	struct str model;
	bool base64;
	enum shape shape;
	uint64_t n_tokens;     /* of all inputs */
	uint64_t tokens_hash;  /* of the token array under way */
	size_t n_array_tokens; /* in it */
	bool bad_input, bad_format;
	int error;
};

static const struct hash_seed seed = {UINT64_C(0x6e65787573642064), UINT64_C(0x656d6f206d6f6465)};

static void add_input(struct reading *reading, uint64_t hash)
{
	int r = buf_append(&reading->hashes, &hash, sizeof(hash));

	if (r == -EMSGSIZE)
		reading->bad_input = true;
	else if (r < 0)
		reading->error = r;
}

static void add_string(struct reading *reading, struct json_value value)
{
	char *text = malloc(value.text.n);
	size_t len;
	int r = text ? json_string_decode(value, text, value.text.n, &len) : -ENOMEM;

	if (r == 0) {
		reading->n_tokens += (len + 3) / 4;
		add_input(reading, hash_bytes(seed, text, len));
	} else {
		reading->error = r;
	}
	free(text);
}

static void add_token(struct reading *reading, struct json_value value)
{
	struct hash_seed chained = {seed.k0 ^ reading->tokens_hash, seed.k1};

	if (value.type != JSON_NUMBER)
		reading->bad_input = true;
	reading->tokens_hash = hash_bytes(chained, value.text.p, value.text.n);
	reading->n_array_tokens++;
	reading->n_tokens++;
}

static void end_tokens(struct reading *reading)
{
	if (reading->n_array_tokens == 0)
		reading->bad_input = true;
	add_input(reading, reading->tokens_hash);
	reading->tokens_hash = 0;
	reading->n_array_tokens = 0;
}

static enum shape shape_of_item(enum json_value_type type)
{
	switch (type) {
	case JSON_STRING:
		return SHAPE_STRINGS;
	case JSON_NUMBER:
		return SHAPE_TOKENS;
	case JSON_ARRAY:
		return SHAPE_TOKEN_ARRAYS;
	default:
		return SHAPE_BAD;
	}
}

static void end_item(struct reading *reading, struct json_value value)
{
	enum shape shape = shape_of_item(value.type);

	if (reading->shape == SHAPE_UNKNOWN)
		reading->shape = shape;
	if (shape == SHAPE_BAD || shape != reading->shape)
		reading->bad_input = true;
	else if (shape == SHAPE_STRINGS)
		add_string(reading, value);
	else if (shape == SHAPE_TOKENS)
		add_token(reading, value);
	else
		end_tokens(reading);
}

static void end_input(struct reading *reading, struct json_value value)
{
	if (value.type == JSON_STRING)
		add_string(reading, value);
	else if (value.type != JSON_ARRAY || reading->shape == SHAPE_UNKNOWN)
		reading->bad_input = true;
	else if (reading->shape == SHAPE_TOKENS)
		end_tokens(reading);
}

static void set_format(struct reading *reading, struct json_value value)
{
	reading->base64 = str_eq(value.text, STR_LITERAL("\"base64\""));
	if (!reading->base64 && !str_eq(value.text, STR_LITERAL("\"float\"")))
		reading->bad_format = true;
}

static void found(void *context, size_t path_index, struct json_value value)
{
	struct reading *reading = context;

	/* The first failure decides: what follows it costs nothing more. */
	if (reading->error < 0 || reading->bad_input)
		return;
	switch ((enum field)path_index) {
	case FIELD_MODEL:
		if (value.type == JSON_STRING)
			reading->model = value.text;
		break;
	case FIELD_FORMAT:
		set_format(reading, value);
		break;
	case FIELD_INPUT:
		end_input(reading, value);
		break;
	case FIELD_ITEM:
		end_item(reading, value);
		break;
	case FIELD_TOKEN:
		add_token(reading, value);
		break;
	}
}

/* Multiples of 1/128 are exact both as floats and as seven decimals. */
static int component(uint64_t hash, unsigned i)
{
	return (int)((hash >> (8 * i)) & 0xff) - 128;
}

static void write_floats(struct jsonw *w, uint64_t hash)
{
	struct buf text;

	buf_init(&text, 32);
	jsonw_array(w, "embedding");
	for (unsigned i = 0; i < DEMO_EMBEDDING_DIMENSIONS && w->error == 0; i++) {
		int value = component(hash, i), size = abs(value) * 78125;

		buf_clear(&text);
		w->error = buf_printf(&text, "%s%d.%07d", value < 0 ? "-" : "", size / 10000000,
				      size % 10000000);
		if (w->error == 0)
			jsonw_raw(w, NULL, buf_str(&text));
	}
	jsonw_array_end(w);
	buf_done(&text);
}

static void base64(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; n > 0; bytes += 3) {
		size_t taken = n < 3 ? n : 3;
		uint32_t group = (uint32_t)bytes[0] << 16;

		if (taken > 1)
			group |= (uint32_t)bytes[1] << 8;
		if (taken > 2)
			group |= bytes[2];
		*out++ = digits[group >> 18];
		*out++ = digits[group >> 12 & 63];
		*out++ = taken > 1 ? digits[group >> 6 & 63] : '=';
		*out++ = taken > 2 ? digits[group & 63] : '=';
		n -= taken;
	}
}

/* As OpenAI does it: the floats' bytes, little-endian. */
static void write_base64(struct jsonw *w, uint64_t hash)
{
	uint8_t bytes[DEMO_EMBEDDING_DIMENSIONS * 4];
	char text[(sizeof(bytes) + 2) / 3 * 4];

	for (unsigned i = 0; i < DEMO_EMBEDDING_DIMENSIONS; i++) {
		float value = (float)component(hash, i) / 128.0f;
		uint32_t bits;

		memcpy(&bits, &value, sizeof(bits));
		for (unsigned b = 0; b < 4; b++)
			bytes[4 * i + b] = (uint8_t)(bits >> (8 * b));
	}
	base64(bytes, sizeof(bytes), text);
	jsonw_string(w, "embedding", (struct str){text, sizeof(text)});
}

static int write_answer(struct buf *out, const struct reading *reading)
{
	struct jsonw w;

	jsonw_begin(&w, out);
	jsonw_object(&w, NULL);
	jsonw_string(&w, "object", STR_LITERAL("list"));
	jsonw_array(&w, "data");
	for (size_t i = 0; i < reading->hashes.len / sizeof(uint64_t); i++) {
		uint64_t hash;

		memcpy(&hash, reading->hashes.data + i * sizeof(hash), sizeof(hash));
		jsonw_object(&w, NULL);
		jsonw_string(&w, "object", STR_LITERAL("embedding"));
		jsonw_u64(&w, "index", i);
		if (reading->base64)
			write_base64(&w, hash);
		else
			write_floats(&w, hash);
		jsonw_object_end(&w);
	}
	jsonw_array_end(&w);
	jsonw_raw(&w, "model", reading->model);
	jsonw_object(&w, "usage");
	jsonw_u64(&w, "prompt_tokens", reading->n_tokens);
	jsonw_u64(&w, "total_tokens", reading->n_tokens);
	jsonw_object_end(&w);
	jsonw_object_end(&w);
	return w.error;
}

static const char *bad_field(const struct reading *reading)
{
	if (reading->bad_input || reading->hashes.len == 0)
		return "input";
	if (reading->bad_format)
		return "encoding_format";
	return reading->model.p ? NULL : "model";
}

int demo_embedding_write(struct buf *out, struct str body, const char **ret_bad_field)
{
	struct reading reading = {0};
	struct jsonscan scan = {
		.paths = paths, .n_paths = ARRAY_SIZE(paths), .found = found, .context = &reading};
	const char *bad;
	int r;

	buf_init(&reading.hashes, DEMO_EMBEDDING_MAX_INPUTS * sizeof(uint64_t));
	r = jsonscan_run(&scan, body) == JSON_OK ? reading.error : -EINVAL;
	if (r < 0)
		goto out;
	bad = bad_field(&reading);
	if (bad) {
		*ret_bad_field = bad;
		r = -EBADMSG;
	} else {
		r = write_answer(out, &reading);
	}
out:
	buf_done(&reading.hashes);
	return r;
}
