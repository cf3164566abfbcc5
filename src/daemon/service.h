/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager: notifications, the watchdog's interval, inherited sockets. Main thread only.
 * Without a service manager everything here does nothing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* STATUS takes printf's arguments and is shown by systemctl status. */
void service_ready(const char *format, ...) PRINTF_LIKE(1, 2);
void service_reloading(void);
void service_stopping(const char *format, ...) PRINTF_LIKE(1, 2);
/* Asks for `usec` more to stop. */
void service_extend_timeout(uint64_t usec);
void service_watchdog_ping(void);
/* How often the watchdog wants to hear of us, in ns; 0 for never. */
uint64_t service_watchdog_ns(void);

struct service_socket {
	int fd;
	char *name; /* FileDescriptorName= */
};

/* The sockets handed over at start, marked close-on-exec; the caller frees the array with
 * service_sockets_free() and owns the descriptors. -errno. */
int service_inherited(struct service_socket **ret_sockets, size_t *ret_n) MUST_CHECK;
struct service_socket *service_sockets_free(struct service_socket *sockets, size_t n);
