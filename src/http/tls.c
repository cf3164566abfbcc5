/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/i18n.h"
#include "config/config_error.h"

#define PRIORITIES "NORMAL:-VERS-TLS1.1:-VERS-TLS1.0"

enum { FILE_MAX_BYTES = 1 << 20, DIGEST_BYTES = 32 };

struct tls {
	_Atomic int references;
	gnutls_certificate_credentials_t credentials;
	bool asks_client;                   /* for a certificate of its authorities */
	unsigned char digest[DIGEST_BYTES]; /* of the files */
};

/* The files of one listener, while they are read. */
struct files {
	gnutls_datum_t certificate, key, client_ca;
};

static void forget(gnutls_datum_t *datum)
{
	if (datum->data)
		explicit_bzero(datum->data, datum->size);
	free(datum->data);
}

/* NULL, or what is wrong with it. */
static const char *file_check(const struct stat *status, bool is_secret)
{
	if (!S_ISREG(status->st_mode))
		return N_("is not a regular file; replace it by one");
	if (status->st_size > FILE_MAX_BYTES)
		return N_("is larger than 1 MiB; is it the right file?");
	if (is_secret && status->st_mode & S_IRWXO)
		return N_("is open to others; chmod 0600 it");
	return NULL;
}

/* Appends what the file held to nothing; -errno. */
static int read_all(int fd, size_t max, gnutls_datum_t *ret_datum)
{
	ssize_t n = 1;

	ret_datum->data = malloc(max);
	if (!ret_datum->data)
		return -ENOMEM;
	while (n > 0 && ret_datum->size < max) {
		n = read(fd, ret_datum->data + ret_datum->size, max - ret_datum->size);
		if (n > 0)
			ret_datum->size += (unsigned)n;
	}
	return n < 0 ? -errno : 0;
}

static int read_file(const struct listener_config *config, const char *path, bool is_secret,
		     gnutls_datum_t *ret_datum, struct buf *error)
{
	const char *wrong = NULL;
	struct stat status = {0};
	/* Not blocking, in case it is a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = fd < 0 || fstat(fd, &status) < 0 ? -errno : 0;

	if (r == 0)
		wrong = file_check(&status, is_secret);
	if (r == 0 && !wrong)
		r = read_all(fd, (size_t)status.st_size + 1, ret_datum);
	if (fd >= 0)
		close(fd);
	if (wrong)
		return config_error(error, config->origin, "%s %s", path, _(wrong));
	if (r == -ENOMEM)
		return config_error_memory(error);
	if (r < 0)
		return config_error(error, config->origin, "%s cannot be read: %s", path,
				    strerror(-r));
	return 0;
}

static int read_files(const struct listener_config *config, struct files *files, struct buf *error)
{
	int r = read_file(config, config->tls.certificate, false, &files->certificate, error);

	if (r == 0)
		r = read_file(config, config->tls.key, true, &files->key, error);
	if (r == 0 && config->tls.client_ca)
		r = read_file(config, config->tls.client_ca, false, &files->client_ca, error);
	return r;
}

/* So that a reload knows a renewed certificate from the same one. */
static int digest_of(const struct files *files, unsigned char ret_digest[static DIGEST_BYTES])
{
	const gnutls_datum_t *parts[] = {&files->certificate, &files->key, &files->client_ca};
	gnutls_hash_hd_t hash;
	int r = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(parts) && r >= 0; i++) {
		r = gnutls_hash(hash, &parts[i]->size, sizeof(parts[i]->size));
		if (r >= 0 && parts[i]->size)
			r = gnutls_hash(hash, parts[i]->data, parts[i]->size);
	}
	gnutls_hash_deinit(hash, ret_digest);
	return r;
}

static int refuse(const struct listener_config *config, int r, struct buf *error)
{
	if (r == GNUTLS_E_MEMORY_ERROR)
		return config_error_memory(error);
	if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return config_error(error, config->origin,
				    "%s is not the key of %s; name the files of one pair",
				    config->tls.key, config->tls.certificate);
	return config_error(error, config->origin,
			    "%s and %s cannot be used: %s; they have to be a certificate, with "
			    "those between it and its authority, and its key, in PEM",
			    config->tls.certificate, config->tls.key, gnutls_strerror(r));
}

static int use_files(struct tls *tls, const struct listener_config *config,
		     const struct files *files, struct buf *error)
{
	int r = gnutls_certificate_allocate_credentials(&tls->credentials);

	if (r >= 0)
		r = gnutls_certificate_set_x509_key_mem2(tls->credentials, &files->certificate,
							 &files->key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (r >= 0)
		r = digest_of(files, tls->digest);
	if (r < 0)
		return refuse(config, r, error);
	tls->asks_client = config->tls.client_ca;
	if (tls->asks_client &&
	    gnutls_certificate_set_x509_trust_mem(tls->credentials, &files->client_ca,
						  GNUTLS_X509_FMT_PEM) <= 0)
		return config_error(error, config->origin,
				    "%s has no certificate; write those of the authorities of "
				    "clients into it, in PEM",
				    config->tls.client_ca);
	return 0;
}

static int load(struct tls *tls, const struct listener_config *config, struct buf *error)
{
	struct files files = {0};
	int r = read_files(config, &files, error);

	if (r == 0)
		r = use_files(tls, config, &files, error);
	forget(&files.certificate);
	forget(&files.key);
	forget(&files.client_ca);
	return r;
}

int tls_load(const struct listener_config *config, struct tls **ret_tls, struct buf *error)
{
	struct tls *tls;
	int r;

	*ret_tls = NULL;
	if (!config->tls.certificate)
		return 0;
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return config_error(error, config->origin,
				    "this libmicrohttpd knows no TLS; put a proxy that does in "
				    "front, or install another one");
	tls = calloc(1, sizeof(*tls));
	if (!tls)
		return config_error_memory(error);
	tls->references = 1;
	r = load(tls, config, error);
	if (r < 0)
		tls = tls_unref(tls);
	*ret_tls = tls;
	return r;
}

struct tls *tls_ref(struct tls *tls)
{
	if (tls)
		atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
	return tls;
}

struct tls *tls_unref(struct tls *tls)
{
	/* Release: what this thread did with it is over. Acquire: so is what the others did. */
	if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1)
		return NULL;
	if (tls->credentials)
		gnutls_certificate_free_credentials(tls->credentials);
	free(tls);
	return NULL;
}

bool tls_is_equal(const struct tls *one, const struct tls *other)
{
	if (!one || !other)
		return one == other;
	return memcmp(one->digest, other->digest, DIGEST_BYTES) == 0;
}

static gnutls_session_t session_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
}

void tls_begin(const struct tls *tls, struct MHD_Connection *connection)
{
	static unsigned char protocol[] = "http/1.1", client[] = GNUTLS_KP_TLS_WWW_CLIENT;
	static gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID, client, 0};
	const gnutls_datum_t protocols = {protocol, sizeof(protocol) - 1};
	gnutls_session_t session = session_of(connection);

	/* Should memory be out, it has no certificate to show, and the handshake fails. */
	(void)!gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
	/* Nor is a client refused that wants another protocol: it has none to choose. */
	(void)!gnutls_alpn_set_protocols(session, &protocols, 1, 0);
	if (!tls->asks_client)
		return;
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert2(session, &purpose, 1, 0);
}

bool tls_has_unread(struct MHD_Connection *connection)
{
	return gnutls_record_check_pending(session_of(connection)) > 0;
}

void tls_send_last(struct MHD_Connection *connection, struct str bytes)
{
	gnutls_session_t session = session_of(connection);

	/* In the clear there is nothing to say. */
	if (gnutls_cipher_get(session) == GNUTLS_CIPHER_NULL)
		return;
	if (bytes.n == 0 || gnutls_record_send(session, bytes.p, bytes.n) >= 0)
		(void)!gnutls_bye(session, GNUTLS_SHUT_WR);
}

/* Every session has credentials of its own before it begins. */
static int no_certificate(gnutls_session_t session UNUSED, const gnutls_datum_t *names UNUSED,
			  int n_names UNUSED, const gnutls_pk_algorithm_t *algorithms UNUSED,
			  int n_algorithms UNUSED, gnutls_pcert_st **chain UNUSED,
			  unsigned *n_chain UNUSED, gnutls_privkey_t *key UNUSED)
{
	return -1;
}

void tls_options(struct MHD_OptionItem ret_options[static TLS_OPTIONS])
{
	static char priorities[] = PRIORITIES;

	/* libmicrohttpd does not start for TLS without a certificate or the promise of one. */
	ret_options[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0,
						 (void *)(uintptr_t)no_certificate};
	ret_options[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, priorities};
	ret_options[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}
