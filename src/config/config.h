/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as the rest of nexusd reads it: immutable once loaded, shared by reference.
 * Times are nanoseconds, sizes bytes. Every option is fed by one row of schema.def, which also
 * relies on each list being followed by its count and each item beginning with its origin.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/log_level.h"

/* Where an item stands in the configuration, for messages; file NULL means built in. */
struct config_origin {
	const char *file;
	unsigned line;
};

enum config_face { FACE_ANY = 0, FACE_API = 1, FACE_METRICS = 2, FACE_ADMIN = 4 };

struct listener_config {
	struct config_origin origin;
	char *address; /* host:port, [v6]:port or unix:/path */
	unsigned faces;
	unsigned mode; /* of a unix socket's file */
	struct {
		char *certificate, *key; /* paths; NULL: no TLS */
		char *client_ca;         /* or NULL: clients need no certificate */
	} tls;
};

/* X(id, name in the file, is it a local server) */
#define BACKEND_TYPES(X)                      \
	X(BACKEND_DEMO, "demo", true)         \
	X(BACKEND_OLLAMA, "ollama", true)     \
	X(BACKEND_VLLM, "vllm", true)         \
	X(BACKEND_SGLANG, "sglang", true)     \
	X(BACKEND_LLAMACPP, "llamacpp", true) \
	X(BACKEND_LMSTUDIO, "lmstudio", true) \
	X(BACKEND_EXO, "exo", true)           \
	X(BACKEND_GENERIC, "generic", true)   \
	X(BACKEND_OPENAI, "openai", false)

enum backend_type {
#define X(id, name, local) id,
	BACKEND_TYPES(X)
#undef X
};

const char *backend_type_name(enum backend_type type);
bool backend_type_is_local(enum backend_type type);

/* What is known of a capability: an unknown one counts as there. */
enum tristate { TRISTATE_UNKNOWN, TRISTATE_NO, TRISTATE_YES };

struct model_config {
	struct config_origin origin;
	char *id;
	uint64_t context_length; /* tokens, 0 unknown */
	enum tristate vision, tools, json_mode;
};

struct backend_config {
	struct config_origin origin;
	char *name;
	enum backend_type type;
	char *url; /* scheme://host[:port][/prefix], without a trailing slash or /v1; NULL for demo
		    */
	char *credential;        /* the file's name, or NULL */
	char *authorization;     /* "Bearer " + the credential, a secret wiped on free; or NULL */
	char *ca_file;           /* or NULL: the system's store */
	uint64_t max_concurrent; /* requests; 0: any number */
	uint64_t priority, weight, tier;
	char *zone; /* "restricted" or "open"; by the type unless stated */
	bool optional;
	bool forward_authorization;
	struct model_config *models; /* stated ones; none: discovered */
	size_t n_models;
	char *address; /* no option: the one of its host's to use, in digits; NULL: any */
};

struct alias_config {
	struct config_origin origin;
	char *name, *model;
};

/* Billionths of a US dollar for a million tokens. */
struct price_config {
	struct config_origin origin;
	char *model; /* a pattern, see base/glob.h */
	uint64_t prompt, completion;
	uint64_t cached_prompt; /* 0: as prompt */
};

struct fallback_config {
	struct config_origin origin;
	char *model;
	char **to;
	size_t n_to;
};

struct policy_config {
	struct config_origin origin;
	char *match;     /* a pattern, see base/glob.h */
	bool restricted; /* zone = "restricted" */
	bool strict;
	uint64_t min_tier; /* 0: any */
};

/* Upper bounds of buckets, in billionths of what was written; none: the built-in ones. */
struct config_bounds {
	uint64_t *nano;
	size_t n;
};

/* In the order of the words of routing.strategy. */
enum config_strategy {
	STRATEGY_SMART,
	STRATEGY_ROUND_ROBIN,
	STRATEGY_WEIGHTED,
	STRATEGY_LEAST_PENDING,
	STRATEGY_POWER_OF_TWO,
	STRATEGY_PRIORITY_ONLY,
	STRATEGY_RANDOM,
	STRATEGY_SESSION
};

/* In the order of the words of statsd.dialect. */
enum config_dialect {
	DIALECT_PLAIN,
	DIALECT_GRAPHITE,
	DIALECT_DOGSTATSD,
	DIALECT_INFLUX,
	DIALECT_CARBON
};

/* In the order of the words of log.requests. */
enum config_log_requests {
	LOG_REQUESTS_NONE,
	LOG_REQUESTS_ERRORS,
	LOG_REQUESTS_SLOW,
	LOG_REQUESTS_SAMPLED,
	LOG_REQUESTS_ALL
};

struct breaker_config {
	uint64_t failures;   /* in a row; 0: any number */
	uint64_t error_rate; /* billionths; 0: any */
	uint64_t window;     /* ns, that of the rate */
	uint64_t min_requests;
	uint64_t open; /* ns */
};

struct config {
	struct listener_config *listeners;
	size_t n_listeners;
	char **cors_origins;
	size_t n_cors_origins;
	bool allow_unauthenticated;
	uint64_t workers; /* 0: one per CPU */
	char *credentials_directory;

	struct {
		uint64_t max_body, max_header; /* bytes */
		uint64_t max_bodies;           /* bytes of all requests' bodies */
		uint64_t max_connections;
		uint64_t max_connections_per_address; /* 0: no limit */
	} limits;
	struct {
		uint64_t head, body, idle, connect, first_byte, stream_idle, total, drain; /* ns */
	} timeouts;

	struct backend_config *backends;
	size_t n_backends;

	struct {
		enum config_strategy strategy;
		char *session_key; /* "user", "prefix" or "header:NAME" */
		uint64_t max_retries;
		struct {
			uint64_t priority, load, latency; /* percent */
		} weights;
		struct alias_config *aliases;
		size_t n_aliases;
		struct fallback_config *fallbacks;
		size_t n_fallbacks;
		struct policy_config *policies;
		size_t n_policies;
	} routing;

	struct price_config *prices;
	size_t n_prices;

	struct {
		uint64_t interval, timeout; /* ns */
		uint64_t failures, successes;
	} health;

	struct breaker_config breaker;

	struct {
		bool enabled;
		uint64_t max_size, max_wait; /* requests, ns */
	} queue;

	struct {
		bool enabled;
		char *path;
		bool raw_labels;  /* metrics.label_values = "raw" */
		bool clean_names; /* metrics.naming = "clean" */
		bool exemplars, created;
		uint64_t max_series, max_series_per_family, birth_models;
		struct {
			struct config_bounds duration, gateway, tokens, first_token, per_token,
				phase, overhead;
		} buckets;
	} metrics;

	struct {
		bool enabled;
		char *address; /* udp://, tcp://, unixgram:// */
		enum config_dialect dialect;
		char *prefix;
		uint64_t interval;   /* ns */
		uint64_t max_packet; /* bytes */
		char **tags;         /* key:value */
		size_t n_tags;
		char **allow; /* globs on the names of families */
		size_t n_allow;
		char **deny;
		size_t n_deny;
	} statsd;

	struct {
		enum log_level level; /* in the order of its words, too */
		bool json;            /* log.format = "json" */
		enum config_log_requests requests;
		uint64_t slow;   /* ns */
		uint64_t sample; /* one in so many */
		uint64_t rate;   /* a second, of each worker */
	} log;

	/* bookkeeping of config.c */
	char **files; /* the names the origins point to */
	size_t n_files;
	struct config *base; /* a reference to what it was expanded from; NULL: as loaded */
	int references;      /* atomic; the last member */
};

struct config *config_ref(struct config *config);
/* The last reference frees it, secrets wiped; accepts NULL, returns NULL. Any thread. */
struct config *config_unref(struct config *config);

/*
 * Loads `path` (NULL: /etc/nexusd/nexusd.conf if it exists, else the built-in defaults), then
 * conf.d/ *.conf beside it, then the environment; fills defaults, reads credentials and checks the
 * whole. 0, or -EINVAL with one line in `error`: "FILE:LINE: what is wrong; what to do".
 */
int config_load(const char *path, struct config **ret_config, struct buf *error) MUST_CHECK;

/*
 * The same for one text called `name` in messages, without touching the file system or the
 * environment: credentials are not read, ca_file is not looked for. For tests and fuzzing.
 */
int config_parse_text(const char *name, struct str text, struct config **ret_config,
		      struct buf *error) MUST_CHECK;

/* Names of RESTART options whose values differ, separated by ", ", are appended to `out`.
 * Returns how many, 0 when none, or -errno. */
int config_restart_differences(const struct config *old, const struct config *new_config,
			       struct buf *out) MUST_CHECK;
