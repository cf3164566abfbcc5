/* SPDX-License-Identifier: Apache-2.0 */
#include "api/model_request.h"

#include "route/attempts.h"
#include "tap.h"

static const struct {
	const char *body, *param; /* param NULL: invalid JSON */
} refused[] = {
	{"", NULL},
	{"{", NULL},
	{"[\"model\"]", NULL},
	{"\"model\"", NULL},
	{"  [1]", NULL},
	{"{\"model\":\"a\"} x", NULL},
	{"{\"model\":\"a\",\"model\":\"b\"}", "model"},
	{"{\"model\":\"a\",\"mod\\u0065l\":\"b\"}", "model"},
	{"{\"model\":\"a\",\"Model\":\"b\"}", "model"},
	{"{\"model\":\"a\",\"model\\u0000x\":\"b\"}", "model"},
	{"{\"model\":\"a\",\"stream\":true,\"stream\":false}", "stream"},
	{"{\"model\":\"a\",\"STREAM\":true}", "stream"},
	{"{\"model\":\"a\",\"\xC5\xBFtream\":true}", "stream"},
	{"{\"model\":\"a\",\"\\u017Ftream_options\":{}}", "stream_options"},
	{"{}", "model"},
	{"{\"model\":1}", "model"},
	{"{\"model\":null}", "model"},
	{"{\"model\":\"\"}", "model"},
	{"{\"model\":\"a\\nb\"}", "model"},
	{"{\"model\":\"a\",\"stream\":\"yes\"}", "stream"},
	{"{\"model\":\"a\",\"stream\":1}", "stream"},
	{"{\"model\":\"a\",\"stream_options\":[]}", "stream_options"},
};

static void bad_bodies_are_refused(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct model_request wanted;
		struct model_request_error error = {0};

		if (!ok(model_request_parse(&wanted, str_of(refused[i].body), &error) < 0,
			"refused: %s", refused[i].body))
			continue;
		if (refused[i].param)
			is_text(error.param, refused[i].param, "it names the field");
		else
			is_int(error.problem, PROBLEM_INVALID_JSON, "it is invalid JSON");
		ok(error.message[0], "it says why: %s", error.message);
	}
}

static const struct {
	const char *body;
	bool stream, asked_usage;
	unsigned needs;
} read_cases[] = {
	{"{\"model\":\"m\"}", false, false, 0},
	{" {\"model\":\"m\",\"stream\":true} ", true, false, 0},
	{"{\"model\":\"m\",\"stream\":null}", false, false, 0},
	{"{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", true,
	 true, 0},
	{"{\"model\":\"m\",\"tools\":[]}", false, false, 0},
	{"{\"model\":\"m\",\"tools\":[{\"type\":\"function\"}]}", false, false, NEED_TOOLS},
	{"{\"model\":\"m\",\"response_format\":{\"type\":\"json_object\"}}", false, false,
	 NEED_JSON_MODE},
	{"{\"model\":\"m\",\"response_format\":{\"type\":\"text\"}}", false, false, 0},
	{"{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"image_url\"}]}]}", false, false,
	 NEED_VISION},
	{"{\"model\":\"m\",\"input\":[{\"content\":[{\"type\":\"input_image\"}]}]}", false, false,
	 NEED_VISION},
	{"{\"model\":\"m\",\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\"}}}",
	 false, false, NEED_JSON_MODE},
	{"{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\"},{\"content\":null}],"
	 "\"stop\":[\"a\"]}",
	 false, false, 0},
};

static void good_bodies_are_read(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(read_cases); i++) {
		struct model_request wanted;
		struct model_request_error error = {0};

		if (!ok(model_request_parse(&wanted, str_of(read_cases[i].body), &error) == 0,
			"accepted: %s", read_cases[i].body))
			continue;
		is_text(wanted.model, "m", "the model");
		ok(wanted.stream == read_cases[i].stream, "stream");
		ok(wanted.asked_usage == read_cases[i].asked_usage, "include_usage");
		is_u64(wanted.needs, read_cases[i].needs, "what it needs");
	}
}

static const struct {
	const char *body, *model;
	bool ask_usage;
	const char *want;
} rewritten[] = {
	{"{ \"model\" : \"m\" , \"x\":1.0}", "a/\"b", false,
	 "{ \"model\" : \"a/\\\"b\" , \"x\":1.0}"},
	{"{\"model\":\"m\"}\n", NULL, true,
	 "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}}\n"},
	{"{\"stream_options\":null,\"model\":\"m\"}", "long-name", true,
	 "{\"stream_options\":{\"include_usage\":true},\"model\":\"long-name\"}"},
	{"{\"model\":\"m\",\"stream_options\":{ }}", NULL, true,
	 "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true }}"},
	{"{\"model\":\"m\",\"stream_options\":{\"a\":1}}", NULL, true,
	 "{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"a\":1}}"},
	{"{\"model\":\"m\",\"stream_options\":{\"include_usage\" : false}}", NULL, true,
	 "{\"model\":\"m\",\"stream_options\":{\"include_usage\" : true}}"},
	{"{\"a\":{\"model\":\"m\"},\"model\":\"m\"}", "n", false,
	 "{\"a\":{\"model\":\"m\"},\"model\":\"n\"}"},
};

static void only_what_must_change_changes(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rewritten); i++) {
		struct model_request wanted;
		struct model_request_error error;
		struct buf out;

		buf_init(&out, 4096);
		ok(model_request_parse(&wanted, str_of(rewritten[i].body), &error) == 0 &&
			   model_request_rewrite(&wanted, rewritten[i].model,
						 rewritten[i].ask_usage, &out) == 0 &&
			   buf_append(&out, "", 1) == 0,
		   "rewritten: %s", rewritten[i].body);
		is_text(out.data, rewritten[i].want, "as it should be");
		buf_done(&out);
	}
}

static void long_names_are_refused(void)
{
	char body[600] = "{\"model\":\"";
	struct model_request wanted;
	struct model_request_error error;
	size_t n = strlen(body);

	memset(body + n, 'm', MODEL_NAME_MAX);
	memcpy(body + n + MODEL_NAME_MAX, "\"}", 3);
	ok(model_request_parse(&wanted, str_of(body), &error) == 0, "a name of 256 bytes");
	is_u64(wanted.model_bytes, MODEL_NAME_MAX, "is read whole");
	memcpy(body + n + MODEL_NAME_MAX, "m\"}", 4);
	ok(model_request_parse(&wanted, str_of(body), &error) < 0, "a name of 257 bytes is not");
}

int main(void)
{
	bad_bodies_are_refused();
	good_bodies_are_read();
	only_what_must_change_changes();
	long_names_are_refused();
	return tap_done();
}
