"""Online scoring: a gRPC service that scores records against a finished card."""
