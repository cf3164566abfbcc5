/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/tls.h"

#define BACKLOG 4096

/* Splits host:port, [v6]:port; the brackets go. -EINVAL for anything else. */
static int split_host_port(const char *address, char **ret_host, char **ret_port)
{
	const char *colon = strrchr(address, ':');
	struct str host = {address, colon ? (size_t)(colon - address) : 0};

	if (!colon || !colon[1])
		return -EINVAL;
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct str){host.p + 1, host.n - 2};
	*ret_host = str_dup(host);
	*ret_port = str_dup(str_of(colon + 1));
	if (*ret_host && *ret_port)
		return 0;
	free(*ret_host);
	free(*ret_port);
	return -ENOMEM;
}

/* The addresses behind host:port; the caller frees them with freeaddrinfo(3). */
static int resolve(const char *address, struct addrinfo **ret_list)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	char *host, *port;
	int r = split_host_port(address, &host, &port);

	if (r < 0)
		return r;
	r = getaddrinfo(host, port, &hints, ret_list);
	free(host);
	free(port);
	if (r == EAI_MEMORY)
		return -ENOMEM;
	return r == 0 ? 0 : -EADDRNOTAVAIL;
}

static int unix_address(const char *path, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	*ret_address = address;
	return 0;
}

static bool is_socket(const char *path)
{
	struct stat file;

	return lstat(path, &file) == 0 && S_ISSOCK(file.st_mode);
}

/* A socket left by a process that is gone refuses connections; one that answers is in use. So does
 * any other file refuse them, but that is somebody's, and bind() will say so. */
static int remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = fd < 0 ? -errno : 0;

	/* EAGAIN: so many wait there already that it takes no more. */
	if (r == 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		       errno == EAGAIN))
		r = -EADDRINUSE;
	else if (r == 0 && errno == ECONNREFUSED && is_socket(address->sun_path) &&
		 unlink(address->sun_path) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static int own_file(struct listener *listener, const char *path, unsigned mode)
{
	if (lstat(path, &listener->file) < 0)
		return -errno;
	listener->unlink_path = str_dup(str_of(path));
	if (!listener->unlink_path)
		return -ENOMEM;
	return chmod(path, mode) < 0 ? -errno : 0;
}

/* Unless somebody else has put another one there. */
static void remove_file(const struct listener *listener)
{
	struct stat file;

	if (lstat(listener->unlink_path, &file) == 0 && file.st_dev == listener->file.st_dev &&
	    file.st_ino == listener->file.st_ino)
		(void)unlink(listener->unlink_path);
}

static int bind_unix(struct listener *listener, const char *path, unsigned mode)
{
	struct sockaddr_un address;
	int r = unix_address(path, &address);
	mode_t umask_before;

	if (r < 0 || (r = remove_stale(&address)) < 0)
		return r;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return -errno;
	/* Nobody may connect before the mode is right. */
	umask_before = umask(0177);
	r = bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(umask_before);
	if (r < 0)
		return r;
	return own_file(listener, path, mode);
}

static int bind_tcp(struct listener *listener, const char *address)
{
	struct addrinfo *list;
	int one = 1, r = resolve(address, &list);

	if (r < 0)
		return r;
	listener->is_tcp = true;
	listener->fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		r = -errno;
	/* No SO_REUSEPORT: with it a second process would share the port unseen. */
	if (r == 0 && setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		r = -errno;
	if (r == 0 && list->ai_family == AF_INET6 &&
	    setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		r = -errno;
	if (r == 0 && bind(listener->fd, list->ai_addr, list->ai_addrlen) < 0)
		r = -errno;
	freeaddrinfo(list);
	return r;
}

static int write_bound_address(int fd, struct buf *out)
{
	struct sockaddr_storage bound = {0};
	socklen_t bytes = sizeof(bound);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) < 0)
		return -errno;
	if (bound.ss_family == AF_UNIX)
		return buf_printf(out, "unix:%s", ((struct sockaddr_un *)&bound)->sun_path);
	if (getnameinfo((struct sockaddr *)&bound, bytes, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	return bound.ss_family == AF_INET6 ? buf_printf(out, "[%s]:%s", host, port)
					   : buf_printf(out, "%s:%s", host, port);
}

/* "127.0.0.1:8000", "[::1]:8000", "unix:/path" of a bound socket; NULL for no memory. */
static char *bound_address(int fd)
{
	struct buf text;
	char *address = NULL;
	size_t length;

	buf_init(&text, NI_MAXHOST + NI_MAXSERV + 8);
	if (write_bound_address(fd, &text) == 0)
		address = buf_take(&text, &length);
	buf_done(&text);
	return address;
}

static int open_socket(struct listener *listener, const char *address, unsigned unix_mode)
{
	struct str path = str_of(address);
	int r;

	if (str_has_prefix(path, STR_LITERAL("unix:")))
		r = bind_unix(listener, address + strlen("unix:"), unix_mode);
	else
		r = bind_tcp(listener, address);
	if (r == 0 && listen(listener->fd, BACKLOG) < 0)
		r = -errno;
	if (r == 0 && !(listener->address = bound_address(listener->fd)))
		r = -ENOMEM;
	return r;
}

int listener_open(const char *address, unsigned faces, unsigned unix_mode,
		  struct listener **ret_listener)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int r = -ENOMEM;

	if (listener) {
		listener->fd = -1;
		listener->references = 1;
		listener->faces = faces;
		r = open_socket(listener, address, unix_mode);
	}
	if (r == 0)
		*ret_listener = listener;
	else
		listener_unref(listener);
	return r;
}

int listener_adopt(int fd, unsigned faces, const char *name, struct listener **ret_listener)
{
	struct listener *listener;
	int is_listening = 0, domain = 0, flags = fcntl(fd, F_GETFL);
	socklen_t bytes = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &bytes) < 0 || !is_listening ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0)
		return -EINVAL;
	/* Several workers wake for one connection, and all but one must not wait for the next. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->fd = fd;
	listener->references = 1;
	listener->faces = faces;
	listener->is_tcp = domain != AF_UNIX;
	listener->address = bound_address(fd);
	listener->name = name ? str_dup(str_of(name)) : NULL;
	if (!listener->address || (name && !listener->name)) {
		listener->fd = -1;
		listener_unref(listener);
		return -ENOMEM;
	}
	*ret_listener = listener;
	return 0;
}

int listener_own_file(struct listener *listener)
{
	const char *path = listener->address + strlen("unix:");

	if (listener->is_tcp || listener->unlink_path)
		return 0;
	return own_file(listener, path, listener->unix_mode);
}

void listener_leave_file(struct listener *listener)
{
	free(listener->unlink_path);
	listener->unlink_path = NULL;
}

bool listener_has_address(int fd, const char *address)
{
	struct sockaddr_storage bound = {0};
	socklen_t bytes = sizeof(bound);
	struct addrinfo *list;
	bool same = false;

	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) < 0)
		return false;
	if (bound.ss_family == AF_UNIX)
		return str_has_prefix(str_of(address), STR_LITERAL("unix:")) &&
		       strcmp(((struct sockaddr_un *)&bound)->sun_path, address + 5) == 0;
	if (resolve(address, &list) < 0)
		return false;
	for (const struct addrinfo *each = list; each && !same; each = each->ai_next)
		same = each->ai_addrlen == bytes && memcmp(each->ai_addr, &bound, bytes) == 0;
	freeaddrinfo(list);
	return same;
}

bool listener_is_local(int fd)
{
	struct sockaddr_storage bound = {0};
	socklen_t bytes = sizeof(bound);

	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) < 0)
		return false;
	if (bound.ss_family == AF_INET) /* 127.0.0.0/8 */
		return ntohl(((struct sockaddr_in *)&bound)->sin_addr.s_addr) >> 24 ==
		       IN_LOOPBACKNET;
	if (bound.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&bound)->sin6_addr);
	return bound.ss_family == AF_UNIX;
}

bool listener_is_unix(int fd)
{
	int domain = 0;
	socklen_t bytes = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 && domain == AF_UNIX;
}

struct listener *listener_ref(struct listener *listener)
{
	atomic_fetch_add_explicit(&listener->references, 1, memory_order_relaxed);
	return listener;
}

bool listener_is_shared(const struct listener *listener)
{
	/* Acquire: who gave up the last of the others has done with it. Pairs with
	 * listener_unref(). */
	return atomic_load_explicit(&listener->references, memory_order_acquire) > 1;
}

struct listener *listener_unref(struct listener *listener)
{
	/* Release: what this thread did with it is over. Acquire: so is what the others did. */
	if (!listener ||
	    atomic_fetch_sub_explicit(&listener->references, 1, memory_order_acq_rel) > 1)
		return NULL;
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->unlink_path)
		remove_file(listener);
	free(listener->unlink_path);
	free(listener->name);
	free(listener->asked);
	free(listener->address);
	tls_unref(listener->tls);
	free(listener);
	return NULL;
}

bool listeners_include(struct listener *const *listeners, size_t n, const struct listener *listener)
{
	for (size_t i = 0; i < n; i++)
		if (listeners[i] == listener)
			return true;
	return false;
}

bool listeners_have_address(struct listener *const *listeners, size_t n, const char *address)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(listeners[i]->address, address) == 0)
			return true;
	return false;
}
