/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of options and how to find one. Immutable. An "object" is a struct of an option's
 * scope: struct config itself or an item of one of its lists.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/i18n.h"
#include "base/str.h"
#include "config/config.h"

/* X(id, the struct of its objects, the list in which they stand) */
#define SCOPES(X)                                                \
	X(ROOT, struct config, "")                               \
	X(LISTENER, struct listener_config, "listeners")         \
	X(BACKEND, struct backend_config, "backends")            \
	X(MODEL, struct model_config, "backends.models")         \
	X(ALIAS, struct alias_config, "routing.aliases")         \
	X(FALLBACK, struct fallback_config, "routing.fallbacks") \
	X(POLICY, struct policy_config, "routing.policies")      \
	X(PRICE, struct price_config, "prices")

/* X(id, type of the field, what to write, for messages) */
#define OPTION_TYPES(X)                                                                          \
	X(STRING, char *, N_("write a text in double quotes"))                                   \
	X(NAME, char *, N_("write letters, digits and . _ - in double quotes"))                  \
	X(GLOB, char *,                                                                          \
	  N_("write a name with * for any characters, ? for one, [a-c] for one of some, [!a-c] " \
	     "for one of the others"))                                                           \
	X(PATH, char *, N_("write an absolute path in double quotes"))                           \
	X(ROUTE, char *, N_("write a path such as \"/metrics\""))                                \
	X(URL, char *, N_("write one such as \"http://127.0.0.1:8000\""))                        \
	X(ADDRESS, char *, N_("write one such as \"127.0.0.1:8000\""))                           \
	X(RECEIVER, char *, N_("write one such as \"udp://127.0.0.1:8125\""))                    \
	X(SESSION_KEY, char *, N_("write user, prefix, or header: and a name"))                  \
	X(WORD, char *, N_("write one of: "))                                                    \
	X(CHOICE, unsigned, N_("write one of: "))                                                \
	X(EITHER, bool, N_("write one of: "))                                                    \
	X(FLAGS, unsigned, N_("write a list of some of: "))                                      \
	X(STRINGS, char **, N_("write a list such as [ \"one\", \"two\" ]"))                     \
	X(GLOBS, char **, N_("write patterns such as [ \"nexus_*\" ]"))                          \
	X(ORIGINS, char **, N_("write such as [ \"https://chat.example.org\" ], or [ \"*\" ]"))  \
	X(TAGS, char **, N_("write such as [ \"dc:fra1\" ]"))                                    \
	X(BOUNDS, struct config_bounds, N_("write ascending numbers such as ( 0.1, 0.5, 1 )"))   \
	X(SIZE, uint64_t, N_("write bytes, or a number with K, M or G such as \"10M\""))         \
	X(DURATION, uint64_t, N_("write seconds such as 30 or 0.25"))                            \
	X(PRICE, uint64_t, N_("write US dollars such as 2.5"))                                   \
	X(SHARE, uint64_t, N_("write a number from 0 to 1 such as 0.5"))                         \
	X(COUNT, uint64_t, N_("write a whole number"))                                           \
	X(OCTAL, unsigned, N_("write octal digits in double quotes such as \"0660\""))           \
	X(BOOL, bool, N_("write true or false"))                                                 \
	X(TRISTATE, enum tristate, N_("write true or false"))                                    \
	X(GROUPS, void *, N_("write a list of groups such as ( { name = \"one\"; } )"))

enum schema_scope {
#define X(id, type, list) SCOPE_##id,
	SCOPES(X)
#undef X
};

enum option_type {
#define X(id, type, advice) OPTION_##id,
	OPTION_TYPES(X)
#undef X
};

enum option_reload { RELOAD_LIVE, RELOAD_RESTART };

struct option {
	enum schema_scope scope;
	enum option_type type;
	const char *path;    /* within its scope */
	size_t offset, size; /* of its field in the scope's struct */
	const char *initial; /* as it would be written; NULL: it has to be given */
	const char *min, *max, *unit;
	enum option_reload reload;
	const char *help;
};

enum {
	SCHEMA_COUNT = 0
#define OPTION(...) +1
#include "config/schema.def"
#undef OPTION
	,
	OPTION_NAME_MAX = 64
};

/* Option 0 <= index < SCHEMA_COUNT. */
const struct option *schema_at(size_t index);
size_t schema_index(const struct option *option);
/* NULL when absent. */
const struct option *schema_find(enum schema_scope scope, struct str path);
/* Do options of this scope stand in a group of this path? */
bool schema_is_group(enum schema_scope scope, struct str path);
/* Of a type that one text can give, so that the environment can set it. */
bool schema_is_scalar(const struct option *option);
/* The list in which objects of the scope stand; "" for the root. */
const char *schema_list(enum schema_scope scope);
/* What the objects in a list of groups are, and how large. */
enum schema_scope schema_element_scope(const struct option *groups);
size_t schema_object_size(enum schema_scope scope);

/* "limits.max_body", "backends.url": the path from the top. Returns `name`. */
const char *schema_name(const struct option *option, char name[static OPTION_NAME_MAX]);
/* What to write for an option of this type; for WORD, CHOICE and FLAGS its words follow. */
const char *schema_type_advice(enum option_type type);
