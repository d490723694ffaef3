"""The gRPC side of the deployer: convert, call a use case, convert. Messages of the contract stop here."""
