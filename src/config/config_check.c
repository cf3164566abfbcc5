/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_check.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/i18n.h"
#include "base/map.h"
#include "base/str.h"
#include "config/config_draft.h"
#include "config/config_error.h"
#include "config/endpoint.h"
#include "config/schema_field.h"

enum { ALIAS_CHAIN_MAX = 3 };

#define OLLAMA_URL "http://127.0.0.1:11434"

/* Items of one list by name; `what` is what people call such an item. */
struct names {
	const char *what;
	struct map *map;
	struct buf *error;
};

/* `item` begins with its origin. */
static int add_name(const struct names *names, const char *name, void *item)
{
	const struct config_origin *origin = item;
	const struct config_origin *first = map_find(names->map, str_of(name));
	char place[CONFIG_PLACE_MAX];

	if (first)
		return config_error(names->error, *origin,
				    "%s \"%s\" exists already at %s; rename or remove one",
				    _(names->what), name, config_place(*first, place));
	if (map_set(names->map, str_of(name), item) < 0)
		return config_error_memory(names->error);
	return 0;
}

static int check_listener_names(struct config *config, const struct names *names)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->n_listeners; i++) {
		struct listener_config *listener = &config->listeners[i];

		if (!endpoint_address_is_ephemeral(listener->address))
			r = add_name(names, listener->address, listener);
	}
	return r;
}

/* `offset` is that of the name in each of `n` items of `size` bytes. */
static int add_names(const struct names *names, void *items, size_t n, size_t size, size_t offset)
{
	int r = 0;

	for (char *item = items; r == 0 && n-- > 0; item += size)
		r = add_name(names, field_pointer(item + offset), item);
	return r;
}

static int check_backend_names(struct config *config, const struct names *names)
{
	return add_names(names, config->backends, config->n_backends, sizeof(*config->backends),
			 offsetof(struct backend_config, name));
}

static int check_fallback_names(struct config *config, const struct names *names)
{
	return add_names(names, config->routing.fallbacks, config->routing.n_fallbacks,
			 sizeof(*config->routing.fallbacks),
			 offsetof(struct fallback_config, model));
}

static int check_policy_names(struct config *config, const struct names *names)
{
	return add_names(names, config->routing.policies, config->routing.n_policies,
			 sizeof(*config->routing.policies), offsetof(struct policy_config, match));
}

/* The models of one backend after the other: two backends may have the same ones. */
static int check_model_names(struct config *config, const struct names *names)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->n_backends; i++) {
		const struct backend_config *backend = &config->backends[i];
		struct names own = {names->what, map_new(), names->error};

		if (!own.map)
			return config_error_memory(names->error);
		r = add_names(&own, backend->models, backend->n_models, sizeof(*backend->models),
			      offsetof(struct model_config, id));
		own.map = map_free(own.map);
	}
	return r;
}

static bool has_end(const struct map *aliases, const struct alias_config *alias)
{
	for (size_t steps = 0; alias; steps++) {
		if (steps > map_count(aliases))
			return false;
		alias = map_find(aliases, str_of(alias->model));
	}
	return true;
}

static int check_chain(const struct names *aliases, const struct alias_config *alias)
{
	const struct alias_config *last = alias;

	for (int length = 0; last && length < ALIAS_CHAIN_MAX; length++)
		last = map_find(aliases->map, str_of(last->model));
	if (!last)
		return 0;
	if (!has_end(aliases->map, alias))
		return config_error(
			aliases->error, alias->origin,
			"the alias \"%s\" goes round in a circle; let it end at a model",
			alias->name);
	return config_error(
		aliases->error, alias->origin,
		"the alias \"%s\" leads over more than %d aliases; name the model itself",
		alias->name, ALIAS_CHAIN_MAX);
}

/* A stated model would never be asked for under its own name. */
static int check_shadowing(const struct config *config, const struct names *aliases)
{
	char place[CONFIG_PLACE_MAX];

	for (size_t i = 0; i < config->n_backends; i++) {
		const struct backend_config *backend = &config->backends[i];

		for (size_t j = 0; j < backend->n_models; j++) {
			const struct model_config *model = &backend->models[j];
			const struct alias_config *alias =
				map_find(aliases->map, str_of(model->id));

			if (!alias)
				continue;
			return config_error(aliases->error, alias->origin,
					    "the alias \"%s\" hides the model at %s; rename it",
					    alias->name, config_place(model->origin, place));
		}
	}
	return 0;
}

static int check_aliases(struct config *config, const struct names *names)
{
	int r = add_names(names, config->routing.aliases, config->routing.n_aliases,
			  sizeof(*config->routing.aliases), offsetof(struct alias_config, name));

	for (size_t i = 0; r == 0 && i < config->routing.n_aliases; i++)
		r = check_chain(names, &config->routing.aliases[i]);
	return r < 0 ? r : check_shadowing(config, names);
}

static int check_lists(struct config *config, struct buf *error)
{
	static const struct {
		const char *what;
		int (*check)(struct config *config, const struct names *names);
	} lists[] = {
		/* TRANSLATORS: for "%s \"%s\" exists already" */
		{N_("the listener"), check_listener_names},
		{N_("the backend"), check_backend_names},
		{N_("the model"), check_model_names},
		{N_("the alias"), check_aliases},
		{N_("the fallback of"), check_fallback_names},
		{N_("the policy for"), check_policy_names},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++) {
		struct names names = {lists[i].what, map_new(), error};

		if (!names.map)
			return config_error_memory(error);
		r = lists[i].check(config, &names);
		names.map = map_free(names.map);
	}
	return r;
}

static int check_fallback_targets(const struct config *config, struct buf *error)
{
	for (size_t i = 0; i < config->routing.n_fallbacks; i++) {
		const struct fallback_config *fallback = &config->routing.fallbacks[i];

		for (size_t j = 0; j < fallback->n_to; j++)
			if (strcmp(fallback->to[j], fallback->model) == 0)
				return config_error(error, fallback->origin,
						    "the fallback of \"%s\" is that model itself; "
						    "remove it from the list",
						    fallback->model);
	}
	return 0;
}

/* What is not stated and depends on the type. */
static int complete_backend(struct backend_config *backend, struct buf *error)
{
	bool is_local = backend_type_is_local(backend->type);

	if (backend->type == BACKEND_OLLAMA && !backend->url) {
		backend->url = str_dup(STR_LITERAL(OLLAMA_URL));
		if (!backend->url)
			return config_error_memory(error);
	}
	if (!backend->zone)
		backend->zone = str_dup(is_local ? STR_LITERAL("restricted") : STR_LITERAL("open"));
	return backend->zone ? 0 : config_error_memory(error);
}

static int check_backend(struct backend_config *backend, struct buf *error)
{
	const char *name = backend->name;

	/* What the label says when no backend was reached. */
	if (strcmp(name, "none") == 0)
		return config_error(error, backend->origin,
				    "a backend cannot be called \"none\"; rename it");
	if (backend->type == BACKEND_DEMO && (backend->url || backend->credential))
		return config_error(error, backend->origin,
				    "the backend \"%s\" is a demo without url or credential; "
				    "remove them",
				    name);
	if (backend->type != BACKEND_DEMO && !backend->url)
		return config_error(error, backend->origin,
				    "the backend \"%s\" has no url; add one such as "
				    "url = \"http://127.0.0.1:8000\"",
				    name);
	if (backend->credential && backend->forward_authorization)
		return config_error(error, backend->origin,
				    "the backend \"%s\" has both credential and "
				    "forward_authorization; remove one",
				    name);
	return 0;
}

static int check_tls(const struct listener_config *listener, struct buf *error)
{
	if (!listener->tls.certificate != !listener->tls.key)
		return config_error(error, listener->origin,
				    "the listener %s has only one of tls.certificate and tls.key; "
				    "add the other",
				    listener->address);
	if (listener->tls.client_ca && !listener->tls.certificate)
		return config_error(error, listener->origin,
				    "the listener %s has tls.client_ca, but no certificate of its "
				    "own; add tls.certificate and tls.key",
				    listener->address);
	return 0;
}

/* Where an option was given, which a rule needs when it is about more than one. */
static struct config_origin place_of(const struct config_draft *draft, const char *option)
{
	return draft->given[schema_index(schema_find(SCOPE_ROOT, str_of(option)))];
}

static int check_exposure(const struct config_draft *draft)
{
	const struct config *config = draft->config;
	bool has_api = false;

	for (size_t i = 0; i < config->n_listeners; i++) {
		const struct listener_config *listener = &config->listeners[i];

		if (listener->faces & FACE_ADMIN &&
		    !str_has_prefix(str_of(listener->address), STR_LITERAL("unix:")))
			return config_error(
				draft->error, listener->origin,
				"the listener %s would let anybody reload and drain; give "
				"the face admin to a unix socket, whose permissions "
				"say who may",
				listener->address);
		if (!(listener->faces & FACE_API))
			continue;
		has_api = true;
		if (!config->allow_unauthenticated && !listener->tls.client_ca &&
		    !endpoint_address_is_local(listener->address))
			return config_error(draft->error, listener->origin,
					    "the listener %s would serve anybody without a key; "
					    "bind it to 127.0.0.1, ask for certificates with "
					    "tls.client_ca, or set allow_unauthenticated = "
					    "true if something in front of it checks who asks",
					    listener->address);
	}
	if (has_api)
		return 0;
	return config_error(draft->error, place_of(draft, "listeners"),
			    "no listener has the face api; add it to the faces of one");
}

/* Room for the rest of a line in the smallest packet. */
enum { TAGS_MAX_BYTES = 320 };

static int check_tags(const struct config_draft *draft)
{
	const struct config *config = draft->config;
	bool has_tags =
		config->statsd.dialect != DIALECT_PLAIN && config->statsd.dialect != DIALECT_CARBON;
	size_t bytes = 0;

	if (config->statsd.n_tags > 0 && !has_tags)
		return config_error(draft->error, place_of(draft, "statsd.tags"),
				    "statsd.tags cannot be said in this dialect; remove them, or "
				    "choose graphite, dogstatsd or influx");
	for (size_t i = 0; i < config->statsd.n_tags; i++)
		bytes += strlen(config->statsd.tags[i]) + 1;
	if (bytes > TAGS_MAX_BYTES)
		return config_error(draft->error, place_of(draft, "statsd.tags"),
				    "statsd.tags are too long; shorten them to %d bytes in all",
				    TAGS_MAX_BYTES);
	return 0;
}

static int check_statsd(const struct config_draft *draft)
{
	const struct config *config = draft->config;
	struct endpoint_receiver receiver;
	const char *wrong = endpoint_receiver_parse(config->statsd.address, &receiver);

	assert(!wrong); /* each value was judged on its own before */
	if (config->statsd.dialect == DIALECT_CARBON && receiver.transport == ENDPOINT_UNIXGRAM)
		return config_error(draft->error, place_of(draft, "statsd.address"),
				    "carbon listens on no unix socket; set statsd.address to "
				    "tcp://host:2003, or choose another statsd.dialect");
	return check_tags(draft);
}

int config_check(const struct config_draft *draft)
{
	struct config *config = draft->config;
	struct buf *error = draft->error;
	int r = check_lists(config, error);

	for (size_t i = 0; r == 0 && i < config->n_backends; i++) {
		r = complete_backend(&config->backends[i], error);
		if (r == 0)
			r = check_backend(&config->backends[i], error);
	}
	for (size_t i = 0; r == 0 && i < config->n_listeners; i++)
		r = check_tls(&config->listeners[i], error);
	if (r == 0)
		r = check_fallback_targets(config, error);
	if (r == 0)
		r = check_exposure(draft);
	if (r == 0)
		r = check_statsd(draft);
	return r;
}
