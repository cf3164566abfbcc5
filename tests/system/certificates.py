# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by openssl."""
import shutil
import ssl
import subprocess

import tap


class Certificate:
    """A certificate and its key, in files; signed by `issuer`, another one, or by itself."""

    def __init__(self, folder, name, subject="IP:127.0.0.1", issuer=None, usage=None):
        if not shutil.which("openssl"):
            raise tap.Skip("no openssl to make certificates with")
        self.path, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        extensions = ["-addext", f"subjectAltName={subject}"]
        if usage:
            extensions += ["-addext", f"extendedKeyUsage={usage}"]
        if issuer:
            extensions += ["-CA", issuer.path, "-CAkey", issuer.key,
                           "-addext", "basicConstraints=CA:FALSE"]
        self.key.unlink(missing_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name} of a nexusd test", *extensions,
                        "-keyout", self.key, "-out", self.path], check=True, capture_output=True)
        self.key.chmod(0o600)

    def of_server(self):
        """How a server shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context

    def for_client(self, own=None):
        """How a client trusts it, and perhaps shows its `own`."""
        context = ssl.create_default_context(cafile=self.path)
        if own:
            context.load_cert_chain(own.path, own.key)
        return context

    def options(self, client_ca=None):
        """The group `tls` of a listener that shows it."""
        row = {"certificate": str(self.path), "key": str(self.key)}
        return {**row, "client_ca": str(client_ca.path)} if client_ca else row
