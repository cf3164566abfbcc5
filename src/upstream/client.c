/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "upstream/client_internal.h"
#include "upstream/transport_http.h"

int client_global_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

void client_global_done(void)
{
	curl_global_cleanup();
}

struct client *client_new(struct loop *loop)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->loop = loop;
	http_pool_init(&client->pool, loop);
	if (multi_init(&client->multi, loop, &transport_http_multi_events) < 0) {
		multi_done(&client->multi);
		free(client);
		return NULL;
	}
	return client;
}

void client_spare_files(struct client *client, size_t n)
{
	client->multi.spared_files = n;
}

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	/* A transfer cancelled inside libcurl in the loop's last turn is still to be let go. */
	multi_run_tasks(&client->multi);
	assert(client->n_running == 0);
	http_pool_done(&client->pool);
	multi_done(&client->multi);
	free(client);
	return NULL;
}

const char *client_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}

const char *client_tls_version(void)
{
	const char *version = curl_version_info(CURLVERSION_NOW)->ssl_version;

	return version ? version : "none";
}
