/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/str.h"

static void PRINTF_LIKE(2, 0) notify_status(const char *state, const char *format, va_list ap)
{
	char status[512];

	vsnprintf(status, sizeof(status), format, ap);
	/* Nobody listens, or will not hear: nothing to be done about it here or below. */
	(void)sd_notifyf(0, "%s\nSTATUS=%s", state, status);
}

void service_ready(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	notify_status("READY=1", format, ap);
	va_end(ap);
}

void service_stopping(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	notify_status("STOPPING=1", format, ap);
	va_end(ap);
}

void service_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
			 (unsigned long long)(clock_monotonic_ns() / NS_PER_USEC));
}

void service_extend_timeout(uint64_t usec)
{
	(void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)usec);
}

void service_watchdog_ping(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
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
