"""Protobuf <-> core messages; `pb/` is generated and committed."""
