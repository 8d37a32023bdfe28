//! Start-up shared by all functions: settings, clients, tracing, metrics, deadline, events.
