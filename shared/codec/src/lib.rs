//! Gzip, the encryption container, digests and key wrapping: bytes in, bytes out. No I/O, no async.
