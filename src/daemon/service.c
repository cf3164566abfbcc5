/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/str.h"

/* Nobody listens, or will not hear: nothing to be done about it here or below. */
static void notify(const struct service *service, const char *format, ...) PRINTF_LIKE(2, 3);

static void notify(const struct service *service, const char *format, ...)
{
	char text[2 * SERVICE_STATUS_BYTES];
	va_list ap;

	if (service->is_mute)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)sd_notify(0, text);
}

bool service_is_managed(const struct service *service)
{
	return !service->is_mute && getenv("NOTIFY_SOCKET");
}

static void notify_status(struct service *service, const char *state, const char *status)
{
	snprintf(service->status, sizeof(service->status), "%s", status);
	notify(service, "%sSTATUS=%s", state, service->status);
}

void service_ready(struct service *service, const char *status)
{
	notify_status(service, "READY=1\n", status);
}

void service_status(struct service *service, const char *status)
{
	if (strcmp(service->status, status) != 0)
		notify_status(service, "", status);
}

void service_stopping(struct service *service, const char *status)
{
	notify_status(service, "STOPPING=1\n", status);
}

void service_reloading(struct service *service)
{
	char state[80];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu\n",
		 (unsigned long long)(clock_monotonic_ns() / NS_PER_USEC));
	notify_status(service, state, "Reloading");
}

void service_extend_timeout(const struct service *service, uint64_t usec)
{
	notify(service, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)usec);
}

void service_watchdog_ping(const struct service *service)
{
	notify(service, "WATCHDOG=1");
}

void service_give_way(struct service *service, pid_t pid)
{
	notify(service, "MAINPID=%lld", (long long)pid);
	service->is_mute = true;
}

void service_store(const struct service *service, const int *fds, size_t n)
{
	static const char store[] = "FDSTORE=1\nFDPOLL=0\nFDNAME=" SERVICE_OWN_NAME;

	if (!service_is_managed(service))
		return;
	notify(service, "FDSTOREREMOVE=1\nFDNAME=%s", SERVICE_OWN_NAME);
	for (size_t i = 0; i < n; i++)
		(void)sd_pid_notify_with_fds(0, 0, store, &fds[i], 1);
}

uint64_t service_watchdog_ns(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? usec * NS_PER_USEC : 0;
}

struct service_socket *service_sockets_free(struct service_socket *sockets, size_t n)
{
	for (size_t i = 0; sockets && i < n; i++)
		free(sockets[i].name);
	free(sockets);
	return NULL;
}

int service_inherited(struct service_socket **ret_sockets, size_t *ret_n)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);
	struct service_socket *sockets;

	if (n < 0)
		return n;
	sockets = calloc((size_t)n + 1, sizeof(*sockets));
	for (int i = 0; i < n; i++) {
		if (sockets)
			sockets[i] = (struct service_socket){SD_LISTEN_FDS_START + i, names[i]};
		else
			free(names[i]);
	}
	free(names);
	if (!sockets)
		return -ENOMEM;
	*ret_sockets = sockets;
	*ret_n = (size_t)n;
	return 0;
}
