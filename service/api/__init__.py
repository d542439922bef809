"""The gRPC edge: server, interceptors, one servicer per service."""
