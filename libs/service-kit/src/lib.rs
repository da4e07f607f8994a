//! What every service needs: settings, tracing, health, TLS, graceful stop.
