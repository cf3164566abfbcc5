/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service manager: notifications, the watchdog's interval, sockets that it keeps for us and
 * passes on. Main thread only. Without a service manager everything here does nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

enum { SERVICE_STATUS_BYTES = 512 };

/* Zeros at the start. */
struct service {
	bool is_mute;                      /* another process is the main one */
	char status[SERVICE_STATUS_BYTES]; /* as it was told last */
};

/* Does anybody listen? */
bool service_is_managed(const struct service *service);
/* `status` is shown by systemctl status. */
void service_ready(struct service *service, const char *status);
/* Tells it unless it was told last. */
void service_status(struct service *service, const char *status);
void service_reloading(struct service *service);
void service_stopping(struct service *service, const char *status);
/* Asks for `usec` more to stop. */
void service_extend_timeout(const struct service *service, uint64_t usec);
void service_watchdog_ping(const struct service *service);
/* How often the watchdog wants to hear of us, in ns; 0 for never. */
uint64_t service_watchdog_ns(void);
/* The main process is another one from now on: the last word of this one. */
void service_give_way(struct service *service, pid_t pid);

struct service_socket {
	int fd;
	char *name; /* FileDescriptorName= */
};

/* The name of the sockets that nexusd opened itself, whoever passes them on. */
#define SERVICE_OWN_NAME "nexusd"

/* The manager keeps these sockets, and no others of ours, for the next process of the service. */
void service_store(const struct service *service, const int *fds, size_t n);
/* The sockets handed over at start, marked close-on-exec; the caller frees the array with
 * service_sockets_free() and owns the descriptors. -errno. */
int service_inherited(struct service_socket **ret_sockets, size_t *ret_n) MUST_CHECK;
struct service_socket *service_sockets_free(struct service_socket *sockets, size_t n);
