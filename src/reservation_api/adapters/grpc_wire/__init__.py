"""gRPC's unary calls over HTTP/2, on our own event loop: how a peer is called (decision 13)."""
