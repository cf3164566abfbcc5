/* SPDX-License-Identifier: Apache-2.0 */
#include <microhttpd.h>
#include <unistd.h>

#include "tests/faults/calls.h"

CALL(enum MHD_Result, MHD_queue_response,
     (struct MHD_Connection * connection, unsigned status, struct MHD_Response *response),
     (connection, status, response), MHD_NO, 0)
CALL(enum MHD_Result, MHD_add_response_header,
     (struct MHD_Response * response, const char *name, const char *value), (response, name, value),
     MHD_NO, 0)
CALL(struct MHD_Response *, MHD_create_response_from_buffer,
     (size_t n, void *bytes, enum MHD_ResponseMemoryMode mode), (n, bytes, mode), NULL, 0)
CALL(struct MHD_Response *, MHD_create_response_from_callback,
     (uint64_t n, size_t block, MHD_ContentReaderCallback read, void *context,
      MHD_ContentReaderFreeCallback done),
     (n, block, read, context, done), NULL, 0)

enum MHD_Result __real_MHD_add_connection(struct MHD_Daemon *daemon, int fd,
					  const struct sockaddr *address, socklen_t n);
enum MHD_Result __wrap_MHD_add_connection(struct MHD_Daemon *daemon, int fd,
					  const struct sockaddr *address, socklen_t n);

/* It owns the descriptor, also when it fails. */
enum MHD_Result __wrap_MHD_add_connection(struct MHD_Daemon *daemon, int fd,
					  const struct sockaddr *address, socklen_t n)
{
	if (!faults_due("MHD_add_connection"))
		return __real_MHD_add_connection(daemon, fd, address, n);
	close(fd);
	return MHD_NO;
}
