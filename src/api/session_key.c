/* SPDX-License-Identifier: Apache-2.0 */
#include "api/session_key.h"

#include "base/hash.h"
#include "base/jsonscan.h"

/* Of one message, or of a text that only grows, so much is looked at: enough to tell conversations
 * apart. */
#define LOOKED_AT_BYTES 1024

enum {
	PATH_USER,
	PATH_CACHE_KEY,
	PATH_MESSAGE_ROLE,
	PATH_MESSAGE,
	PATH_INPUT_ROLE,
	PATH_INPUT_ITEM,
	PATH_INPUT,
	PATH_PROMPT,
	PATH_INSTRUCTIONS,
};

static const struct json_path paths[] = {
	[PATH_USER] = {{"user"}},
	[PATH_CACHE_KEY] = {{"prompt_cache_key"}},
	[PATH_MESSAGE_ROLE] = {{"messages", "[]", "role"}},
	[PATH_MESSAGE] = {{"messages", "[]"}},
	[PATH_INPUT_ROLE] = {{"input", "[]", "role"}},
	[PATH_INPUT_ITEM] = {{"input", "[]"}},
	[PATH_INPUT] = {{"input"}},
	[PATH_PROMPT] = {{"prompt"}},
	[PATH_INSTRUCTIONS] = {{"instructions"}},
};

struct keys {
	uint64_t user, cache_key, prefix; /* hashes, 0 not met */
	bool is_users;                    /* the message under way */
	bool has_begun;                   /* the user has spoken: what follows grows */
};

static void add_to_prefix(struct keys *keys, struct str text)
{
	if (text.n > LOOKED_AT_BYTES)
		text.n = LOOKED_AT_BYTES;
	keys->prefix = hash_stable(keys->prefix, text);
}

static void found(void *context, size_t path, struct json_value value)
{
	struct keys *keys = context;
	bool is_text = value.type == JSON_STRING && value.text.n > sizeof("\"\"") - 1;

	switch (path) {
	case PATH_USER:
		keys->user = is_text ? hash_stable(0, value.text) : 0;
		break;
	case PATH_CACHE_KEY:
		keys->cache_key = is_text ? hash_stable(0, value.text) : 0;
		break;
	case PATH_MESSAGE_ROLE:
	case PATH_INPUT_ROLE:
		keys->is_users = str_eq(value.text, STR_LITERAL("\"user\""));
		break;
	case PATH_MESSAGE:
	case PATH_INPUT_ITEM:
		if (!keys->has_begun)
			add_to_prefix(keys, value.text);
		keys->has_begun |= keys->is_users;
		keys->is_users = false;
		break;
	case PATH_INPUT:
	case PATH_PROMPT:
	case PATH_INSTRUCTIONS:
		if (is_text)
			add_to_prefix(keys, value.text);
		break;
	}
}

uint64_t session_key_hash(const struct request *request)
{
	const char *key = request->table->config->routing.session_key;
	struct str header = str_of(key), kind = str_split(&header, ':');
	struct keys keys = {0};
	struct jsonscan scan = {
		.paths = paths,
		.n_paths = ARRAY_SIZE(paths),
		.found = found,
		.context = &keys,
	};

	if (header.p) {
		struct str value = exchange_header(request->exchange, header.p);

		return value.n > 0 ? hash_stable(0, value) : 0;
	}
	/* A body that is no JSON has none of it. */
	if (jsonscan_run(&scan, request->wanted.text) != JSON_OK)
		return 0;
	if (str_eq(kind, STR_LITERAL("prefix")))
		return keys.prefix;
	return keys.cache_key ? keys.cache_key : keys.user;
}
