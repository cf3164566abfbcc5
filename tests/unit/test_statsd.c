/* SPDX-License-Identifier: Apache-2.0 */
/* The switch, the status and the end of the push; what it pushes is told by other tests. */
#include "export/statsd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/config_fixture.h"

struct receiver {
	int fd;
	char path[64];
	char text[65536]; /* of the last datagram */
};

static int n_changes;
static bool is_reached;

static void changed(void *context, const char *address, const char *error)
{
	n_changes++;
	is_reached = !error;
	ok(strncmp(address, "unixgram:///", 12) == 0, "the address is said");
	loop_stop(context);
}

static void receiver_up(struct receiver *receiver)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", receiver->path);
	receiver->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (receiver->fd < 0 ||
	    bind(receiver->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		abort();
}

static bool receive(struct receiver *receiver)
{
	ssize_t n = recv(receiver->fd, receiver->text, sizeof(receiver->text) - 1, 0);

	receiver->text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void configure(struct statsd *statsd, const struct receiver *receiver, const char *more)
{
	struct result result;
	char text[256];

	snprintf(text, sizeof(text), "statsd: { address = \"unixgram://%s\"; %s };", receiver->path,
		 more);
	parse(&result, text);
	is_int(result.r, 0, "a configuration: %s", more);
	is_int(statsd_configure(statsd, result.config), 0, "is put in force");
	done(&result);
}

static void test_life(struct statsd *statsd, struct loop *loop, struct receiver *receiver)
{
	struct statsd_status status;

	statsd_status(statsd, &status);
	ok(!status.is_enabled && !*status.error, "off at first");
	statsd_finish(statsd);
	configure(statsd, receiver, "enabled = true; interval = 0.1;");
	loop_run(loop);
	statsd_status(statsd, &status);
	ok(!is_reached && status.is_enabled && *status.error, "nobody is there: %s", status.error);
	ok(strcmp(status.address + 11, receiver->path) == 0, "where it was looked for");
	receiver_up(receiver);
	loop_run(loop);
	statsd_status(statsd, &status);
	ok(is_reached && !*status.error, "then there is");
	ok(receive(receiver) && strstr(receiver->text, "nexus.active_streams:0|g\n"),
	   "and gets it");
	is_int(n_changes, 2, "each change is told once");
}

static void test_end(struct statsd *statsd, struct registry *registry, struct slab *slab,
		     struct receiver *receiver)
{
	const struct str values[] = {STR_LITERAL("m"), STR_LITERAL("a"), STR_LITERAL("200")};
	const struct series *series = registry_series(registry, METRIC_REQUESTS, values);

	while (receive(receiver))
		;
	slab_add(slab, series, 5);
	configure(statsd, receiver, "enabled = false;");
	ok(receive(receiver) && strstr(receiver->text, "nexus.requests.m.a.200:5|c\n"),
	   "switched off, the last counts go out");
	slab_add(slab, series, 7);
	configure(statsd, receiver, "enabled = true;");
	slab_add(slab, series, 2);
	statsd_finish(statsd);
	ok(receive(receiver) && strstr(receiver->text, "nexus.requests.m.a.200:2|c\n"),
	   "the end sends what came since it was switched on");
	close(receiver->fd);
	statsd_finish(statsd);
	ok(!is_reached, "and ends without a receiver, too");
}

int main(void)
{
	const struct registry_options options = {.max_series = 1000, .max_series_per_family = 100};
	struct registry *registry = need(registry_new(&options));
	struct statsd_inputs inputs = {
		.loop = need(loop_new()), .registry = registry, .changed = changed};
	char directory[] = "/tmp/nexusd-test-XXXXXX";
	struct receiver receiver;
	struct statsd *statsd;

	inputs.slab = need(registry_slab_new(registry));
	inputs.context = inputs.loop;
	statsd = need(statsd_new(&inputs));
	if (!ok(mkdtemp(directory), "all is there"))
		return tap_done();
	snprintf(receiver.path, sizeof(receiver.path), "%s/s", directory);
	test_life(statsd, inputs.loop, &receiver);
	test_end(statsd, registry, inputs.slab, &receiver);
	ok(!statsd_free(statsd) && !statsd_free(NULL), "freed");
	loop_free(inputs.loop);
	registry_free(registry);
	unlink(receiver.path);
	rmdir(directory);
	return tap_done();
}
