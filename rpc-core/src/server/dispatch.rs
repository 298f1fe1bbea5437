//! `service/method` to the handler that answers it.

/// The table of everything a provider serves.
#[derive(Debug, Default)]
pub struct Dispatcher {}

/// One method in the table.
#[derive(Debug)]
pub struct Route {}
