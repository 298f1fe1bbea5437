//! What holds of the health of an endpoint.

mod threads;
