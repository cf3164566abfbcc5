/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/channel.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { SEND_SECONDS = 5 };

int channel_pair(int ret_fds[static 2])
{
	const struct timeval most = {.tv_sec = SEND_SECONDS};
	int fds[2];

	/* Messages keep their bounds, and the end of the other process is the end of the file. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		/* Refused, a process that hangs would be waited for: no reason not to hand over. */
		(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
		ret_fds[i] = fds[i];
	}
	return 0;
}

static int send_message(int fd, enum channel_kind kind, struct str body, int flags)
{
	struct channel_message message = {.bytes = {(char)kind}};

	assert(body.n <= TRANSCRIPT_MAX_BYTES);
	if (body.n)
		memcpy(message.bytes + 1, body.p, body.n);
	return send(fd, message.bytes, 1 + body.n, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

int channel_send(int fd, enum channel_kind kind, struct str body)
{
	return send_message(fd, kind, body, 0);
}

int channel_try_to_send(int fd, enum channel_kind kind, struct str body)
{
	return send_message(fd, kind, body, MSG_DONTWAIT);
}

int channel_receive(int fd, struct channel_message *ret_message)
{
	char *bytes = ret_message->bytes;
	ssize_t n = recv(fd, bytes, sizeof(ret_message->bytes), MSG_DONTWAIT);

	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	ret_message->kind = bytes[0];
	ret_message->body = (struct str){bytes + 1, (size_t)n - 1};
	return 0;
}
