"""Serves oidc-provider-mock over TLS. Usage: provider.py PORT CERTIFICATE KEY. Each start makes another signing key."""

import sys

import oidc_provider_mock
import werkzeug.serving

port, certificate, key = sys.argv[1:]
werkzeug.serving.run_simple("127.0.0.1", int(port), oidc_provider_mock.app(), threaded=True, ssl_context=(certificate, key))
