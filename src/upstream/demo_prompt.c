/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/demo_prompt.h"

#include <errno.h>
#include <stdlib.h>

#include "base/jsonscan.h"

enum field {
	FIELD_MODEL,
	FIELD_STREAM,
	FIELD_INCLUDE_USAGE,
	FIELD_PROMPT,
	FIELD_PROMPT_ITEM,
	FIELD_MESSAGES,
	FIELD_MESSAGE,
	FIELD_ROLE,
	FIELD_CONTENT,
	FIELD_PART,
	FIELD_PART_TEXT
};

static const struct json_path paths[] = {
	[FIELD_MODEL] = {{"model"}},
	[FIELD_STREAM] = {{"stream"}},
	[FIELD_INCLUDE_USAGE] = {{"stream_options", "include_usage"}},
	[FIELD_PROMPT] = {{"prompt"}},
	[FIELD_PROMPT_ITEM] = {{"prompt", "[]"}},
	[FIELD_MESSAGES] = {{"messages"}},
	[FIELD_MESSAGE] = {{"messages", "[]"}},
	[FIELD_ROLE] = {{"messages", "[]", "role"}},
	[FIELD_CONTENT] = {{"messages", "[]", "content"}},
	[FIELD_PART] = {{"messages", "[]", "content", "[]"}},
	[FIELD_PART_TEXT] = {{"messages", "[]", "content", "[]", "text"}},
};

/* Values are found as they end: a message's members before the message itself. */
struct reading {
	struct demo_prompt *prompt;
	bool has_messages;
	struct json_value message_text; /* of the message under way */
	bool is_user;
	struct json_value user_text, plain_text; /* p NULL while there is none */
};

static void take_first(struct json_value *to, struct json_value value)
{
	if (!to->text.p && value.type == JSON_STRING)
		*to = value;
}

static void end_message(struct reading *reading)
{
	if (reading->is_user)
		reading->user_text = reading->message_text;
	reading->is_user = false;
	reading->message_text = (struct json_value){.type = JSON_STRING};
}

static void found(void *context, size_t path_index, struct json_value value)
{
	struct reading *reading = context;

	switch ((enum field)path_index) {
	case FIELD_MODEL:
		if (value.type == JSON_STRING)
			reading->prompt->model = value.text;
		break;
	case FIELD_STREAM:
		reading->prompt->stream = value.type == JSON_TRUE;
		break;
	case FIELD_INCLUDE_USAGE:
		reading->prompt->include_usage = value.type == JSON_TRUE;
		break;
	case FIELD_PROMPT:
	case FIELD_PROMPT_ITEM:
		take_first(&reading->plain_text, value);
		break;
	case FIELD_MESSAGES:
		reading->has_messages = value.type == JSON_ARRAY;
		break;
	case FIELD_MESSAGE:
		end_message(reading);
		break;
	case FIELD_ROLE:
		reading->is_user = str_eq(value.text, STR_LITERAL("\"user\""));
		break;
	case FIELD_CONTENT:
	case FIELD_PART_TEXT:
		take_first(&reading->message_text, value);
		break;
	case FIELD_PART:
		break;
	}
}

static int decode(struct demo_prompt *prompt, struct json_value value)
{
	struct str text = {NULL, 0};
	char *whole;
	int r;

	if (!value.text.p)
		return 0;
	/* Decoded it is never longer. */
	whole = malloc(value.text.n);
	if (!whole)
		return -ENOMEM;
	text.p = whole;
	r = json_string_decode(value, whole, value.text.n, &text.n);
	if (r == 0) {
		prompt->prompt_bytes = text.n;
		prompt->text_bytes = utf8_cut(text, sizeof(prompt->text));
		memcpy(prompt->text, whole, prompt->text_bytes);
	}
	free(whole);
	return r;
}

int demo_prompt_read(struct demo_prompt *prompt, struct str body, bool chat)
{
	struct reading reading = {.prompt = prompt};
	struct jsonscan scan = {
		.paths = paths, .n_paths = ARRAY_SIZE(paths), .found = found, .context = &reading};

	prompt->model = (struct str){NULL, 0};
	prompt->stream = prompt->include_usage = false;
	prompt->prompt_bytes = prompt->text_bytes = 0;
	prompt->bad_field = NULL;
	if (jsonscan_run(&scan, body) != JSON_OK)
		return -EINVAL;
	if (!prompt->model.p)
		prompt->bad_field = "model";
	else if (chat && !reading.has_messages)
		prompt->bad_field = "messages";
	else if (!chat && !reading.plain_text.text.p)
		prompt->bad_field = "prompt";
	if (prompt->bad_field)
		return 0;
	return decode(prompt, chat ? reading.user_text : reading.plain_text);
}
